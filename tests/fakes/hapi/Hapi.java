import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.server.FifoMemoryPagingProvider;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.HashMapResourceProvider;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.catalina.startup.Tomcat;
import org.hl7.fhir.r4.model.Observation;
import org.hl7.fhir.r4.model.Patient;

/** HAPI's own server and its own store in memory: nothing here is ours but the port and the file of resources, one a line. */
public class Hapi {
    public static void main(String[] given) throws Exception {
        FhirContext r4 = FhirContext.forR4();
        RestfulServer server = new RestfulServer(r4);
        FifoMemoryPagingProvider pages = new FifoMemoryPagingProvider(10);
        pages.setDefaultPageSize(20);
        pages.setMaximumPageSize(500);
        server.setPagingProvider(pages);
        HashMapResourceProvider<Patient> patients = new HashMapResourceProvider<>(r4, Patient.class);
        HashMapResourceProvider<Observation> observations = new HashMapResourceProvider<>(r4, Observation.class);
        server.setResourceProviders(patients, observations);
        for (String line : Files.readAllLines(Path.of(given[1]))) {
            if (r4.newJsonParser().parseResource(line) instanceof Patient patient) {
                patients.store(patient);
            } else {
                observations.store(r4.newJsonParser().parseResource(Observation.class, line));
            }
        }
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(given[2]);
        tomcat.setPort(Integer.parseInt(given[0]));
        tomcat.getConnector();
        var context = tomcat.addContext("", null);
        Tomcat.addServlet(context, "fhir", server);
        context.addServletMappingDecoded("/fhir/*", "fhir");
        tomcat.start();
        tomcat.getServer().await();
    }
}
