"""Which types of resources are kept, which search parameters each has, and from where in a resource each is drawn.

The names, kinds and elements are those of FHIR R4 (https://hl7.org/fhir/R4/searchparameter-registry.html): the ones by which the
patient compartment is made, those this product needs, and no others. What is not here is refused, never ignored.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

_CANONICAL = "http://hl7.org/fhir/SearchParameter/"


class Kind(StrEnum):
    """What a parameter compares, as FHIR calls it."""

    TOKEN = "token"  # noqa: S105  a kind of parameter, not a secret
    REFERENCE = "reference"
    DATE = "date"
    STRING = "string"


class Parameter(NamedTuple):
    """A search parameter of a type. `paths`: the elements it is drawn from, each as names from the outside in."""

    name: str
    kind: Kind
    paths: tuple[tuple[str, ...], ...]
    definition: str


class ResourceType(NamedTuple):
    """A type of resource. `subject`: the parameter that says in whose compartment one is; `date`: the one that dates it."""

    name: str
    parameters: dict[str, Parameter]
    subject: str | None
    date: Parameter | None

    @property
    def may_be_of_several(self) -> bool:
        """Whether one may be about several patients."""
        return self.name in _OF_SEVERAL


# `name=path|path`, the path left out where it is the name; `*`: its definition is shared with other types; `!`: it says in whose
# compartment a resource is. Only what a resource is about counts there: of R4's patient compartment, subject, patient and
# beneficiary, but not who performed, asserted or paid for it, so that a child's data never comes with a parent's (threats F-03);
# and none of what only mentions patients, such as groups, persons and provenance (F-04).
_SEARCHED = """
Account: identifier name patient!=subject subject type status period=servicePeriod
AdverseEvent: subject! recorder category date
AllergyIntolerance: identifier* patient*! asserter recorder code*=code|reaction.substance category type* clinical-status=clinicalStatus verification-status=verificationStatus date*=recordedDate
Appointment: identifier patient=participant.actor actor=participant.actor status date=start
AppointmentResponse: identifier patient=actor actor
AuditEvent: patient=agent.who|entity.what agent=agent.who type date=recorded
Basic: identifier patient!=subject subject author code created
BodyStructure: identifier patient!
CarePlan: identifier* patient*!=subject subject performer=activity.detail.performer encounter category status intent date*=period
CareTeam: identifier* patient*!=subject subject participant=participant.member encounter category status date*=period
ChargeItem: identifier patient!=subject subject code occurrence=occurrence[x]
Claim: identifier patient! payee=payee.party encounter=item.encounter provider status use created
ClaimResponse: identifier patient! status use created
ClinicalImpression: identifier patient*!=subject subject encounter status date*
Communication: identifier patient!=subject subject sender recipient encounter category status sent
CommunicationRequest: identifier patient!=subject subject requester sender recipient encounter category status authored=authoredOn
Composition: identifier* patient*!=subject subject author attester=attester.party encounter* category type* status date*
Condition: identifier* patient*!=subject subject asserter encounter code* category clinical-status=clinicalStatus verification-status=verificationStatus onset-date=onset[x]
Consent: identifier* patient*! organization category status date*=dateTime
Coverage: identifier patient!=beneficiary beneficiary policy-holder=policyHolder subscriber payor type status
CoverageEligibilityRequest: identifier patient! provider status created
CoverageEligibilityResponse: identifier patient! status created
DetectedIssue: identifier* patient*! author code status identified=identified[x]
Device: identifier patient organization=owner type status
DeviceRequest: identifier* patient*!=subject subject performer requester encounter* code*=codeCodeableConcept status intent authored-on=authoredOn
DeviceUseStatement: identifier patient*!=subject subject
DiagnosticReport: identifier* patient*!=subject subject performer encounter* code* category status date*=effective[x]
DocumentManifest: identifier*=masterIdentifier|identifier patient*!=subject subject author recipient type* status created
DocumentReference: identifier*=masterIdentifier|identifier patient*!=subject subject author encounter*=context.encounter category type* status date
Encounter: identifier* patient*!=subject subject participant=participant.individual service-provider=serviceProvider class type* status date*=period
Endpoint: identifier name organization=managingOrganization status
EnrollmentRequest: identifier patient!=candidate subject=candidate status
EpisodeOfCare: identifier* patient*! organization=managingOrganization type* status date*=period
ExplanationOfBenefit: identifier patient! payee=payee.party encounter=item.encounter claim provider coverage=insurance.coverage status created
FamilyMemberHistory: identifier* patient*! code*=condition.code status date*
Flag: identifier patient*!=subject subject author encounter* date*=period
Goal: identifier* patient*!=subject subject category lifecycle-status=lifecycleStatus start-date=startDate
Group: identifier member=member.entity code type
HealthcareService: identifier active name organization=providedBy specialty
ImagingStudy: identifier* patient*!=subject subject performer=series.performer.actor encounter status started
Immunization: identifier* patient*! performer=performer.actor vaccine-code=vaccineCode status date*=occurrence[x]
ImmunizationEvaluation: identifier patient! status date
ImmunizationRecommendation: identifier patient! status=recommendation.forecastStatus date
Invoice: identifier patient!=subject subject participant=participant.actor recipient type status date
List: identifier* patient*!=subject subject source encounter* code* status date*
Location: identifier name=name|alias organization=managingOrganization type status
MeasureReport: identifier patient!=subject subject status date
Media: identifier patient!=subject subject encounter type status created=created[x]
Medication: identifier code* status
MedicationAdministration: identifier* patient*!=subject subject performer=performer.actor code*=medicationCodeableConcept status* effective-time=effective[x]
MedicationDispense: identifier* patient*!=subject subject performer=performer.actor receiver code*=medicationCodeableConcept type status* whenhandedover=whenHandedOver
MedicationRequest: identifier* patient*!=subject subject requester encounter* code*=medicationCodeableConcept category status* intent authoredon=authoredOn
MedicationStatement: identifier* patient*!=subject subject source=informationSource code*=medicationCodeableConcept category status* effective=effective[x]
MolecularSequence: identifier patient! type
NutritionOrder: identifier* patient*! encounter* provider=orderer status datetime=dateTime
Observation: identifier* patient*!=subject subject performer focus encounter* code* category status date*=effective[x]
Organization: identifier active name=name|alias type
Patient: identifier active name family*=name.family given*=name.given birthdate*=birthDate gender* link=link.other general-practitioner=generalPractitioner organization=managingOrganization
Person: identifier name birthdate*=birthDate gender* patient=link.target link=link.target organization=managingOrganization
Practitioner: identifier active name family*=name.family given*=name.given gender*
PractitionerRole: identifier active organization practitioner role=code specialty date=period
Procedure: identifier* patient*!=subject subject performer=performer.actor encounter* code* category status date*=performed[x]
Provenance: patient=target target agent=agent.who recorded
Questionnaire: identifier name status date
QuestionnaireResponse: identifier patient=subject subject author source encounter status authored
RelatedPerson: identifier active name birthdate*=birthDate gender* patient
RequestGroup: identifier patient!=subject subject author participant=action.participant encounter code status intent authored=authoredOn
ResearchStudy: identifier category status date=period
ResearchSubject: identifier patient!=individual individual status date=period
RiskAssessment: identifier* patient*!=subject subject performer encounter* date*=occurrenceDateTime
Schedule: identifier active actor specialty date=planningHorizon
ServiceRequest: identifier* patient*!=subject subject performer requester encounter* code* category status intent authored=authoredOn
Slot: identifier specialty status start
Specimen: identifier patient!=subject subject type status collected=collection.collected[x]
Substance: identifier code=code|ingredient.substanceCodeableConcept category status
SupplyDelivery: identifier* patient*! receiver status
SupplyRequest: identifier* subject!=deliverTo requester category status date*=authoredOn
Task: identifier patient=for subject=for requester focus encounter code status intent authored-on=authoredOn
VisionPrescription: identifier* patient*! encounter* status datewritten=dateWritten
"""
# Kept, and found by id and last update only.
_KEPT = """
ActivityDefinition Binary BiologicallyDerivedProduct CapabilityStatement CatalogEntry ChargeItemDefinition CodeSystem
CompartmentDefinition ConceptMap Contract DeviceDefinition DeviceMetric EffectEvidenceSynthesis EnrollmentResponse EventDefinition
Evidence EvidenceVariable ExampleScenario GraphDefinition GuidanceResponse ImplementationGuide InsurancePlan Library Linkage Measure
MedicationKnowledge MedicinalProduct MedicinalProductAuthorization MedicinalProductContraindication MedicinalProductIndication
MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged
MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition MessageHeader NamingSystem ObservationDefinition
OperationDefinition OrganizationAffiliation PaymentNotice PaymentReconciliation PlanDefinition ResearchDefinition
ResearchElementDefinition RiskEvidenceSynthesis SearchParameter SpecimenDefinition StructureDefinition StructureMap Subscription
SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification
TerminologyCapabilities TestReport TestScript ValueSet VerificationResult
"""
_OF_SEVERAL = frozenset({"Account"})  # the only one whose subject repeats

_STRINGS = frozenset({"name", "family", "given"})
_DATES = frozenset(
    {
        "date", "birthdate", "period", "created", "occurrence", "sent", "authored", "authored-on", "authoredon", "onset-date", "identified",
        "start", "start-date", "started", "effective", "effective-time", "whenhandedover", "datetime", "recorded", "collected", "datewritten",
    }
)  # fmt: skip
_REFERENCES = frozenset(
    {
        "patient", "subject", "individual", "beneficiary", "policy-holder", "subscriber", "payor", "performer", "asserter", "recorder",
        "requester", "actor", "author", "attester", "participant", "sender", "recipient", "receiver", "source", "payee", "member", "link",
        "target", "agent", "focus", "encounter", "claim", "provider", "coverage", "service-provider", "general-practitioner", "organization",
        "practitioner",
    }
)  # fmt: skip
_SHARED = {
    **dict.fromkeys(("identifier", "patient", "code", "type", "date", "encounter"), "clinical"),
    **dict.fromkeys(("family", "given", "birthdate", "gender"), "individual"),
    "status": "medications",
}
_CHOICES = ("DateTime", "Period", "Instant", "Timing", "Date")  # what `[x]` may be where a date is drawn

ID = "_id"
LAST_UPDATED = "_lastUpdated"
COMMON = {
    ID: Parameter(ID, Kind.TOKEN, (("id",),), f"{_CANONICAL}Resource-id"),
    LAST_UPDATED: Parameter(LAST_UPDATED, Kind.DATE, (("meta", "lastUpdated"),), f"{_CANONICAL}Resource-lastUpdated"),
}  # fmt: skip
"""The parameters that every type has."""


def _kind_of(name: str) -> Kind:
    if name in _REFERENCES:
        return Kind.REFERENCE
    if name in _DATES:
        return Kind.DATE
    return Kind.STRING if name in _STRINGS else Kind.TOKEN


def _path(written: str) -> list[tuple[str, ...]]:
    *outer, last = written.split(".")
    stem = last.removesuffix("[x]")
    return [(*outer, stem + choice) for choice in (_CHOICES if stem != last else ("",))]


def _parameter(type_: str, word: str) -> Parameter:
    head, _, elements = word.partition("=")
    name = head.rstrip("*!")
    if "*" not in head:
        definition = f"{type_}-{name}"
    elif (type_, name) == ("MedicationRequest", "encounter"):
        definition = "medications-encounter"
    else:
        definition = f"{_SHARED[name]}-{name}"
    paths = [path for written in (elements or name).split("|") for path in _path(written)]
    return Parameter(name, _kind_of(name), tuple(paths), _CANONICAL + definition)


def _type(row: str) -> ResourceType:
    type_, _, words = row.partition(": ")
    parameters = {word: _parameter(type_, word) for word in words.split()}
    subjects = [one.name for word, one in parameters.items() if "!" in word.partition("=")[0]]
    dates = [one for one in parameters.values() if one.kind is Kind.DATE]
    return ResourceType(
        type_,
        {one.name: one for one in parameters.values()},
        subjects[0] if subjects else None,
        dates[0] if dates else None,
    )


TYPES: dict[str, ResourceType] = {
    one.name: one
    for one in (
        *map(_type, _SEARCHED.strip().splitlines()),
        *(ResourceType(name, {}, None, None) for name in _KEPT.split()),
    )
}
"""Every type of resource that is kept."""
