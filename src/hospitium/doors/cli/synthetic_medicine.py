"""What synthetic charts know of medicine: conditions and their medicines, what is measured, vaccines, allergies, procedures.

All codes are public: SNOMED CT, ICD-10-CM, LOINC, UCUM, RxNorm, CVX. The numbers are rough, and good for nobody's treatment.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

SNOMED, LOINC, UCUM = "http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"
ICD10, CVX = "http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/cvx"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
HL7 = "http://terminology.hl7.org/CodeSystem/"


class Ailment(NamedTuple):
    """A condition; how many days it lasts (0: it stays); its medicines, begun a year after one another."""

    snomed: str
    display: str
    icd10: str
    title: str
    days: int = 0
    medicines: tuple[str, ...] = ()


AILMENTS = {
    "asthma": Ailment("195967001", "Asthma", "J45.909", "Unspecified asthma, uncomplicated", 0, ("albuterol", "fluticasone")),
    "bronchitis": Ailment("10509002", "Acute bronchitis", "J20.9", "Acute bronchitis, unspecified", 18, ("acetaminophen",)),
    "depression": Ailment("35489007", "Depressive disorder", "F32.A", "Depression, unspecified", 0, ("sertraline",)),
    "diabetes": Ailment("44054006", "Type 2 diabetes mellitus", "E11.9", "Type 2 diabetes mellitus without complications",
                        0, ("metformin 500", "metformin 1000")),
    "eczema": Ailment("24079001", "Atopic dermatitis", "L20.9", "Atopic dermatitis, unspecified", 0, ("hydrocortisone",)),
    "fibrillation": Ailment("49436004", "Atrial fibrillation", "I48.91", "Unspecified atrial fibrillation", 0, ("apixaban",)),
    "hypertension": Ailment("59621000", "Essential hypertension", "I10", "Essential (primary) hypertension",
                            0, ("lisinopril", "amlodipine")),
    "kidney": Ailment("433144002", "Chronic kidney disease stage 3", "N18.30", "Chronic kidney disease, stage 3 unspecified"),
    "knee": Ailment("239873007", "Osteoarthritis of knee", "M17.9", "Osteoarthritis of knee, unspecified", 0, ("acetaminophen",)),
    "lipids": Ailment("55822004", "Hyperlipidemia", "E78.5", "Hyperlipidemia, unspecified", 0, ("atorvastatin",)),
    "migraine": Ailment("37796009", "Migraine", "G43.909", "Migraine, unspecified, not intractable, without status migrainosus",
                        0, ("sumatriptan",)),
    "obesity": Ailment("414916001", "Obesity", "E66.9", "Obesity, unspecified"),
    "otitis": Ailment("3110003", "Acute otitis media", "H66.90", "Otitis media, unspecified, unspecified ear", 12, ("suspension",)),
    "reflux": Ailment("235595009", "Gastroesophageal reflux disease", "K21.9", "Gastro-esophageal reflux disease without esophagitis",
                      0, ("omeprazole",)),
    "sprain": Ailment("44465007", "Sprain of ankle", "S93.409A", "Sprain of unspecified ligament of unspecified ankle, initial encounter",
                      42, ("acetaminophen",)),
    "strep": Ailment("43878008", "Streptococcal sore throat", "J02.0", "Streptococcal pharyngitis", 10, ("capsule",)),
    "thyroid": Ailment("40930008", "Hypothyroidism", "E03.9", "Hypothyroidism, unspecified", 0, ("levothyroxine",)),
    "uti": Ailment("68566005", "Urinary tract infectious disease", "N39.0", "Urinary tract infection, site not specified",
                   7, ("sulfamethoxazole",)),
}  # fmt: skip
OF_AGE = {0: ("asthma", "eczema", "otitis"), 18: ("asthma", "bronchitis", "depression", "migraine", "reflux", "sprain", "strep"),
           45: ("bronchitis", "diabetes", "hypertension", "knee", "lipids", "obesity", "reflux", "thyroid")}  # fmt: skip
MEDICINES = {
    "acetaminophen": ("198440", "acetaminophen 500 MG Oral Tablet", "Take 1 or 2 tablets every 6 hours when in pain, at most 6 a day"),
    "albuterol": ("745679", "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler", "Inhale 2 puffs every 4 to 6 hours when short of breath"),
    "amlodipine": ("197361", "amlodipine 5 MG Oral Tablet", "Take 1 tablet once a day"),
    "apixaban": ("1364445", "apixaban 5 MG Oral Tablet", "Take 1 tablet twice a day"),
    "atorvastatin": ("617310", "atorvastatin 20 MG Oral Tablet", "Take 1 tablet in the evening"),
    "capsule": ("308191", "amoxicillin 500 MG Oral Capsule", "Take 1 capsule twice a day for 10 days"),
    "fluticasone": ("895994", "120 ACTUAT fluticasone propionate 0.044 MG/ACTUAT Metered Dose Inhaler", "Inhale 2 puffs twice a day, then rinse the mouth"),
    "hydrocortisone": ("106258", "hydrocortisone 10 MG/ML Topical Cream", "Apply thinly twice a day while the skin is inflamed"),
    "levothyroxine": ("966222", "levothyroxine sodium 0.075 MG Oral Tablet", "Take 1 tablet in the morning, half an hour before eating"),
    "lisinopril": ("314076", "lisinopril 10 MG Oral Tablet", "Take 1 tablet once a day"),
    "metformin 500": ("861007", "metformin hydrochloride 500 MG Oral Tablet", "Take 1 tablet twice a day, with meals"),
    "metformin 1000": ("861004", "metformin hydrochloride 1000 MG Oral Tablet", "Take 1 tablet twice a day, with meals"),
    "omeprazole": ("198051", "omeprazole 20 MG Delayed Release Oral Capsule", "Take 1 capsule half an hour before breakfast"),
    "sertraline": ("312941", "sertraline 50 MG Oral Tablet", "Take 1 tablet once a day"),
    "sulfamethoxazole": ("198335", "sulfamethoxazole 800 MG / trimethoprim 160 MG Oral Tablet", "Take 1 tablet twice a day for 3 days"),
    "sumatriptan": ("313161", "sumatriptan 50 MG Oral Tablet", "Take 1 tablet when a migraine begins; once more after 2 hours if needed"),
    "suspension": ("308189", "amoxicillin 80 MG/ML Oral Suspension", "Give 5 mL twice a day for 10 days"),
}  # fmt: skip

MEASURES = {  # LOINC code and display, UCUM unit, decimals
    "height": ("8302-2", "Body height", "cm", 1), "weight": ("29463-7", "Body weight", "kg", 1),
    "bmi": ("39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", 1), "rate": ("8867-4", "Heart rate", "/min", 0),
    "systolic": ("8480-6", "Systolic blood pressure", "mm[Hg]", 0), "diastolic": ("8462-4", "Diastolic blood pressure", "mm[Hg]", 0),
    "a1c": ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 1),
    "glucose": ("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 0),
    "cholesterol": ("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", 0),
    "ldl": ("13457-7", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation", "mg/dL", 0),
    "hdl": ("2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma", "mg/dL", 0),
    "triglycerides": ("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "mg/dL", 0),
    "creatinine": ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 2),
    "tsh": ("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "m[IU]/L", 2),
}  # fmt: skip
BLOOD_PRESSURE = ("85354-9", "Blood pressure panel with all children optional")
VITAL = ("height", "weight", "bmi", "rate")
LABS = tuple(MEASURES)[6:]
# What a condition adds to what is measured: untreated, and at last under treatment.
EFFECTS: dict[str, dict[str, tuple[float, float]]] = {
    "diabetes": {"a1c": (2.9, 1.3)},
    "hypertension": {"systolic": (28, 8), "diastolic": (14, 4)},
    "lipids": {"ldl": (65, -5), "triglycerides": (70, 25)},
    "kidney": {"creatinine": (0.40, 0.45)},
    "thyroid": {"tsh": (7.5, 0.6)},
    "obesity": {"bmi": (8, 7)},
    "fibrillation": {"rate": (28, 6)},
}
# By what a condition is watched in the laboratory, between check-ups.
WATCHED_BY = {
    "diabetes": ("a1c", "glucose", "creatinine"),
    "lipids": ("cholesterol", "ldl", "hdl", "triglycerides"),
    "hypertension": ("creatinine",),
    "kidney": ("creatinine",),
    "thyroid": ("tsh",),
}
# What is usual at which age, in years; between two ages, what lies between.
HEIGHT = {"male": ((0, 50), (0.5, 68), (1, 76), (2, 88), (4, 103), (6, 116), (8, 128), (10, 138), (12, 149), (14, 164), (16, 173), (18, 177)),
           "female": ((0, 49), (0.5, 66), (1, 74), (2, 86), (4, 102), (6, 115), (8, 127), (10, 138), (12, 151), (14, 160), (16, 163))}  # fmt: skip
USUAL = {
    "bmi": ((0, 13.5), (0.5, 17), (1, 17), (2, 16.5), (5, 15.4), (8, 16), (12, 18), (16, 20.5), (20, 22.5), (50, 26), (90, 25)),
    "rate": ((0, 140), (1, 118), (3, 104), (8, 86), (14, 74), (90, 72)),
    "systolic": ((3, 92), (10, 102), (16, 114), (40, 118), (90, 130)),
    "diastolic": ((3, 54), (10, 62), (16, 68), (50, 76), (90, 72)),
    "a1c": ((18, 5.1), (90, 5.6)), "ldl": ((18, 92), (50, 112), (90, 106)), "triglycerides": ((18, 90), (60, 115)), "tsh": ((18, 1.9), (90, 2.3)),
}  # fmt: skip

VACCINES = (  # CVX code and display; ages at which it is due, in months
    ("08", "Hep B, adolescent or pediatric", (1, 2, 6)), ("119", "rotavirus, monovalent", (2, 4)), ("20", "DTaP", (2, 4, 6, 15, 48)),
    ("49", "Hib (PRP-OMP)", (2, 4, 12)), ("133", "Pneumococcal conjugate PCV 13", (2, 4, 6, 12)), ("10", "IPV", (2, 4, 6, 48)),
    ("03", "MMR", (12, 48)), ("21", "varicella", (12, 48)), ("83", "Hep A, ped/adol, 2 dose", (12, 18)), ("165", "HPV9", (132, 138)),
    ("115", "Tdap", (132,)), ("113", "Td (adult) preservative free", tuple(range(252, 1000, 120))), ("187", "zoster recombinant", (600, 606)),
    ("33", "pneumococcal polysaccharide PPV23", (780,)),
)  # fmt: skip
INFLUENZA = ("140", "Influenza, seasonal, injectable, preservative free")
SEASON = range(9, 13)  # months in which it is given
ALLERGIES = {  # SNOMED CT code and display; category, criticality; what it does
    "penicillin": ("91936005", "Allergy to penicillin", "medication", "low", "247472004", "Hives"),
    "peanut": ("91935009", "Allergy to peanut", "food", "high", "39579001", "Anaphylaxis"),
    "bee": ("424213003", "Allergy to bee venom", "environment", "low", "247472004", "Hives"),
}
PROCEDURES = {
    "colonoscopy": ("73761001", "Colonoscopy"), "ecg": ("29303009", "Electrocardiographic procedure"),
    "mammography": ("71651007", "Mammography"), "spirometry": ("23426006", "Measurement of respiratory function"),
}  # fmt: skip
VISITS = {
    "child": ("410620009", "Well child visit"), "check-up": ("185349003", "Encounter for check up"),
    "follow-up": ("390906007", "Follow-up encounter"), "symptom": ("185345009", "Encounter for symptom"),
    "procedure": ("371883000", "Outpatient procedure"),
}  # fmt: skip
_ADULT = 18  # years
_SCREENED = 45  # years from which on HbA1c is asked of everybody
_RISE = 2.5  # years a condition grows before it is found


def watched(since: Mapping[str, float]) -> set[str]:
    """Return what is looked at in the laboratory because of what was found by now; since: years, below 0 while not found."""
    return {measure for name, years in since.items() if years >= 0 for measure in WATCHED_BY.get(name, ())}


def found(
    gender: str, age: float, since: Mapping[str, float], build: tuple[float, float], chance: random.Random
) -> dict[str, float]:
    """Return what can be measured of somebody, by the names of `MEASURES`.

    Age in years; since: how many years ago each of his conditions was found, below 0 if it isn't yet; build: how tall and how stout
    he is, as a factor of the usual height and in kg/m².
    """

    def of(measure: str, spread: float, usual: float | None = None) -> float:
        middle = _between(USUAL[measure], age) if usual is None else usual
        return middle + _burden(measure, since) + chance.gauss(0, spread)

    stature, frame = build
    height = round(_between(HEIGHT[gender], age) * stature, 1)
    weight = round((of("bmi", 0.25) + frame * min(1.0, age / _ADULT)) * (height / 100) ** 2, 1)
    values = {"height": height, "weight": weight, "rate": of("rate", 4)}
    if age >= 2:  # noqa: PLR2004  of infants nobody reckons it
        values["bmi"] = weight / (height / 100) ** 2
    if age >= 3:  # noqa: PLR2004  from here on a cuff fits
        values |= {"systolic": of("systolic", 4), "diastolic": of("diastolic", 3)}
    if age >= _ADULT:
        male = gender == "male"
        values |= {
            "ldl": of("ldl", 7),
            "hdl": of("hdl", 3, 48 if male else 56),
            "triglycerides": of("triglycerides", 14),
        }
        values["cholesterol"] = (
            values["ldl"] + values["hdl"] + values["triglycerides"] / 5
        )  # after Friedewald
        values["creatinine"] = of("creatinine", 0.04, 0.95 if male else 0.76)
        percent = of("a1c", 0.1)
        mean = 28.7 * percent - 46.7  # the glucose that HbA1c stands for, https://doi.org/10.2337/dc08-0545
        values["glucose"] = mean - 13 + chance.gauss(0, 4)  # fasting
        if "diabetes" in since or age >= _SCREENED:
            values["a1c"] = percent
        if "thyroid" in since:
            values["tsh"] = of("tsh", 0.2)
    return values


def _between(points: Sequence[tuple[float, float]], age: float) -> float:
    for (younger, less), (older, more) in pairwise(points):
        if age < older:
            return less + (more - less) * max(0.0, age - younger) / (older - younger)
    return points[-1][1]


def _burden(measure: str, since: Mapping[str, float]) -> float:
    """Return what conditions add: growing before each is found, then falling to what treatment leaves."""
    total = 0.0
    for name, years in since.items():
        untreated, treated = EFFECTS.get(name, {}).get(measure, (0.0, 0.0))
        if years <= 0:
            total += untreated * max(0.0, 1 + years / _RISE) ** 2
        else:
            total += treated + (untreated - treated) * 0.4**years
    return total
