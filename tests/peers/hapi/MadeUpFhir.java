import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.annotation.Search;
import ca.uhn.fhir.rest.api.server.RequestDetails;
import ca.uhn.fhir.rest.server.IResourceProvider;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.auth.AuthorizationInterceptor;
import ca.uhn.fhir.rest.server.interceptor.auth.IAuthRule;
import ca.uhn.fhir.rest.server.interceptor.auth.RuleBuilder;
import java.util.List;
import java.util.stream.IntStream;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.ImagingStudy;
import org.hl7.fhir.r4.model.Patient;

/** HAPI's RESTful server with made-up patients and studies; with "locked", all but its statement is refused. */
public class MadeUpFhir extends RestfulServer {
  private static final long serialVersionUID = 1L;

  public MadeUpFhir() {
    super(FhirContext.forR4());
  }

  @Override
  protected void initialize() {
    setResourceProviders(new Patients(number("patients"), text("family")), new Studies(number("studies"), text("description")));
    if (number("locked") > 0) {
      registerInterceptor(new Locked());
    }
  }

  private int number(String name) {
    return Integer.parseInt(text(name));
  }

  private String text(String name) {
    return getServletConfig().getInitParameter(name);
  }

  private static class Locked extends AuthorizationInterceptor {
    @Override
    public List<IAuthRule> buildRuleList(RequestDetails details) {
      return new RuleBuilder().allow().metadata().andThen().denyAll().build();
    }
  }

  public static class Patients implements IResourceProvider {
    private final int count;
    private final String family;

    Patients(int count, String family) {
      this.count = count;
      this.family = family;
    }

    @Override
    public Class<? extends IBaseResource> getResourceType() {
      return Patient.class;
    }

    @Search
    public List<Patient> all() {
      return IntStream.range(0, count).mapToObj(this::made).toList();
    }

    private Patient made(int number) {
      Patient patient = new Patient();
      patient.setId("made-up-" + number);
      patient.addName().setFamily(family);
      return patient;
    }
  }

  public static class Studies implements IResourceProvider {
    private final int count;
    private final String description;

    Studies(int count, String description) {
      this.count = count;
      this.description = description;
    }

    @Override
    public Class<? extends IBaseResource> getResourceType() {
      return ImagingStudy.class;
    }

    @Search
    public List<ImagingStudy> all() {
      return IntStream.range(0, count).mapToObj(this::made).toList();
    }

    private ImagingStudy made(int number) {
      ImagingStudy study = new ImagingStudy();
      study.setId("made-up-" + number);
      study.setDescription(description);
      return study;
    }
  }
}
