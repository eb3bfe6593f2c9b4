//! What stores say in codes, in the user's terms.
//!
//! A status tells too little: S3 refuses an expired token with 400, a wrong
//! clock with 403, and a bucket of another region with 301 or 400. The code in
//! the answer tells the next move.

use super::error::Kind;

/// What some codes mean.
pub(super) struct Meaning {
    /// Any of these texts in an answer.
    signs: &'static [&'static str],
    pub(super) kind: Kind,
    /// What is wrong, as it follows "cannot write: ".
    pub(super) what: &'static str,
    pub(super) help: &'static str,
}

/// The first that fits counts: Azure refuses a wrong clock and an expired
/// token with the code of wrong credentials, and tells them apart in the text.
const MEANINGS: [Meaning; 6] = [
    Meaning {
        // Asked for an account of the machine, where no other credentials are.
        signs: &[
            "/latest/api/token",
            "/latest/meta-data/",
            "/metadata/identity/",
            "metadata.google",
        ],
        kind: Kind::NoCredentials,
        what: "no credentials were found",
        help: "set them in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AZURE_…, GOOGLE_…); this machine has no account of its own to use instead",
    },
    Meaning {
        signs: &["InvalidBucketName", "InvalidResourceName"],
        kind: Kind::Misconfigured,
        what: "the store takes no bucket of such a name",
        help: "correct the URL: names of buckets have 3 to 63 lower-case letters, digits, dots and hyphens",
    },
    Meaning {
        signs: &["RequestTimeTooSkewed", "Request date header too old"],
        kind: Kind::Unauthenticated,
        what: "the clock of this machine is wrong",
        help: "set it, by NTP for example; stores refuse requests that are more than 15 minutes off",
    },
    Meaning {
        signs: &[
            "ExpiredToken",
            "TokenRefreshRequired",
            "Signature not valid in the specified time",
        ],
        kind: Kind::Unauthenticated,
        what: "the credentials have expired",
        help: "log in again, or renew the token in the environment (AWS_SESSION_TOKEN, AZURE_STORAGE_SAS_TOKEN, …)",
    },
    Meaning {
        signs: &[
            "SignatureDoesNotMatch",
            "InvalidAccessKeyId",
            "InvalidToken",
            "AuthenticationFailed",
            "Server failed to authenticate",
        ],
        kind: Kind::Unauthenticated,
        what: "the credentials are not accepted",
        help: "check the credentials in the environment (AWS_…, AZURE_…, GOOGLE_…): are they whole, and for this store?",
    },
    Meaning {
        signs: &[
            // "the region 'us-east-1' is wrong; expecting 'eu-central-1'"
            "is wrong; expecting",
            "IllegalLocationConstraintException",
            "PermanentRedirect",
            // Said by the client where S3 redirects to another region.
            "redirect without LOCATION",
        ],
        kind: Kind::Missing,
        what: "the bucket is in another region",
        help: "set AWS_REGION, or `region` under `storage:`, to the region of the bucket",
    },
];

/// What an answer means beyond its status, where its code is known.
pub(super) fn meaning(error: &object_store::Error) -> Option<&'static Meaning> {
    // Of an object that is missing nothing more is to be said.
    if matches!(error, object_store::Error::NotFound { .. }) {
        return None;
    }
    let text = error.to_string();
    MEANINGS.iter().find(|meaning| meaning.signs.iter().any(|sign| text.contains(sign)))
}
