// A session of fhir-kit-client (npm); prints as JSON what it saw.
//
// Run by tests/doors/fhir/test_clients.py as a process of its own, with the FHIR server, the token and the patients in its environment.

import { CapabilityTool, Client } from 'fhir-kit-client';

const { FHIR_BASE: baseUrl, FHIR_TOKEN: bearerToken, FHIR_PATIENT: mine, FHIR_OTHER_PATIENT: anothers } = process.env;
const client = new Client({ baseUrl, bearerToken });
const stranger = new Client({ baseUrl });
const wrong = new Client({ baseUrl, bearerToken: 'wrong' });
const resourceType = 'Observation';

// The status and the code with which a client is refused.
async function refused(asking) {
  try {
    await asking;
  } catch ({ response }) {
    return [response.status, response.data.issue[0].code];
  }
  return [200];
}

// All pages of a search; each is asked for where the one before says.
async function pages(first) {
  const found = [];
  for (let bundle = await first; bundle !== undefined; bundle = await client.nextPage({ bundle })) {
    found.push(resources(bundle));
  }
  return found;
}

const resources = (bundle) => (bundle.entry ?? []).map((entry) => entry.resource);
const ids = (found) => found.map((one) => one.id);
const read = (who, id) => who.read({ resourceType: 'Patient', id });

const capability = await stranger.capabilityStatement();
const tool = new CapabilityTool(capability);
const interactions = Object.fromEntries(
  ['Patient', 'Observation', 'Practitioner'].map((name) => [name, tool.interactionsFor({ resourceType: name })]),
);
const saw = {
  version: capability.fhirVersion,
  interactions,
  stranger: await refused(read(stranger, mine)),
  'wrong token': await refused(read(wrong, mine)),
  "another's": await refused(read(client, anothers)),
  "nobody's": await refused(read(client, 'none')),
};
const patient = await read(client, mine);
saw.patient = patient.name[0].family;

const found = await pages(client.search({ resourceType, searchParams: { _count: 2 } }));
saw.pages = found.map(ids);
const posted = await pages(client.search({ resourceType, searchParams: { _count: 2 }, options: { postSearch: true } }));
saw.posted = posted.map(ids);
const another = await client.search({ resourceType, searchParams: { patient: anothers } });
saw["another's observations"] = ids(resources(another));
const performed = found.flat().find((one) => one.performer);
const practitioner = await client.resolve({ reference: performed.performer[0].reference });
saw.practitioner = practitioner.name[0].family;

const operation = { name: 'everything', resourceType: 'Patient', id: mine, method: 'GET' };
const everything = (await pages(client.operation(operation))).flat();
saw.everything = ids(everything);
const input = { resourceType: 'Parameters', parameter: [{ name: '_type', valueString: 'Condition' }] };
saw['everything by post'] = ids(resources(await client.operation({ ...operation, method: 'POST', input })));
// Where a Bundle says that a resource is, there it is.
const { entry } = await client.search({ resourceType });
saw.addressed = [];
for (const { fullUrl } of entry ?? []) {
  saw.addressed.push((await client.resolve({ reference: fullUrl })).id);
}
saw.seen = [patient, ...found.flat(), practitioner, ...everything];
console.log(JSON.stringify(saw));
process.exit(); // its connections are kept alive
