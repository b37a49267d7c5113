//! The closed lists of a breach record. In YAML and JSON each word is written in lower case with underscores.

/// Makes an enum of words: how each is written, all of them in order, and its name.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+
        }
        impl $name {
            /// Every value, in the order of the law or form it comes from.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// As written in YAML and JSON.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    )+};
}

words! {
    /// In which capacity we notify (GDPR Art. 26, 33(1), 33(2)).
    Role { Controller = "controller", Joint = "joint", ProcessorOnBehalf = "processor_on_behalf" }

    /// How far the matter has got.
    Status {
        Suspected = "suspected",
        Assessing = "assessing",
        Confirmed = "confirmed",
        NotABreach = "not_a_breach",
        Closed = "closed",
    }

    /// What was breached (GDPR Art. 4(12)); any combination.
    Nature { Confidentiality = "confidentiality", Integrity = "integrity", Availability = "availability" }

    /// How it happened, as the authorities' forms ask it.
    IncidentKind {
        MisdirectedEmail = "misdirected_email",
        MisdirectedPost = "misdirected_post",
        LostDevice = "lost_device",
        Hacking = "hacking",
        Malware = "malware",
        Ransomware = "ransomware",
        Phishing = "phishing",
        Insider = "insider",
        PublishedInError = "published_in_error",
        Paper = "paper",
        Other = "other",
        Unknown = "unknown",
    }

    /// Where the cause lies.
    Origin { Internal = "internal", External = "external", Unknown = "unknown" }

    /// Whether somebody meant it.
    Intent { Accidental = "accidental", Malicious = "malicious", Unknown = "unknown" }

    /// The kinds of personal data affected (GDPR Art. 33(3)(a)).
    DataCategory {
        BasicIdentity = "basic_identity",
        Contact = "contact",
        NationalId = "national_id",
        OfficialDocument = "official_document",
        Credentials = "credentials",
        Financial = "financial",
        Location = "location",
        CommunicationContent = "communication_content",
        Traffic = "traffic",
        Behaviour = "behaviour",
        Employment = "employment",
        Education = "education",
        ImageVoice = "image_voice",
        Other = "other",
        Unknown = "unknown",
    }

    /// Special categories (GDPR Art. 9) and data on offences (Art. 10).
    SpecialCategory {
        RacialEthnic = "racial_ethnic",
        Political = "political",
        ReligiousPhilosophical = "religious_philosophical",
        TradeUnion = "trade_union",
        Genetic = "genetic",
        BiometricId = "biometric_id",
        Health = "health",
        SexLifeOrientation = "sex_life_orientation",
        Criminal = "criminal",
    }

    /// The groups of persons affected (GDPR Art. 33(3)(a)).
    SubjectCategory {
        Employee = "employee",
        User = "user",
        Subscriber = "subscriber",
        Customer = "customer",
        Prospect = "prospect",
        Patient = "patient",
        Student = "student",
        Member = "member",
        Supplier = "supplier",
        Applicant = "applicant",
        Other = "other",
        Unknown = "unknown",
    }

    /// Groups that need particular care (GDPR recital 75).
    VulnerableGroup {
        Children = "children",
        Elderly = "elderly",
        Patients = "patients",
        AsylumSeekers = "asylum_seekers",
        ProtectedPersons = "protected_persons",
        Other = "other",
    }

    /// How sure a number is.
    Precision { Exact = "exact", Approximate = "approximate", Unknown = "unknown" }

    /// Whether the key that protected the data is safe (GDPR Art. 34(3)(a)).
    KeyState { Intact = "intact", Compromised = "compromised", Unknown = "unknown" }

    /// What may happen to the persons (GDPR recital 85).
    Harm {
        LossOfControl = "loss_of_control",
        LimitationOfRights = "limitation_of_rights",
        Discrimination = "discrimination",
        IdentityTheftFraud = "identity_theft_fraud",
        FinancialLoss = "financial_loss",
        ReversalOfPseudonymisation = "reversal_of_pseudonymisation",
        Reputation = "reputation",
        ProfessionalSecrecy = "professional_secrecy",
        Physical = "physical",
        OtherSocialEconomic = "other_social_economic",
    }

    /// The risk to rights and freedoms: decides on Art. 33 (unless `unlikely`) and Art. 34 (`high_risk`).
    RiskLevel { Unlikely = "unlikely", Risk = "risk", HighRisk = "high_risk", Undetermined = "undetermined" }

    /// Who answers questions about the breach (GDPR Art. 33(3)(b)).
    ContactKind { Dpo = "dpo", Other = "other" }

    /// Whether the persons are told (GDPR Art. 34).
    Decision {
        Required = "required",
        NotRequired = "not_required",
        Public = "public",
        Ordered = "ordered",
        Pending = "pending",
    }

    /// Why persons need not be told one by one (GDPR Art. 34(3)).
    Exemption {
        /// The data were unintelligible, for instance encrypted with a safe key.
        AProtected = "a_protected",
        /// Later measures have removed the high risk.
        BRiskRemoved = "b_risk_removed",
        /// Disproportionate effort: a public communication takes its place.
        CPublicCommunication = "c_public_communication",
    }
}
