//! OriginHeader: which headers belong to one origin, by their names. Knows no requests.

/// Words that mark the name of a secret header.
const SECRET_WORDS: [&str; 21] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "apikey",
    "session",
    "sessid",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "credential",
    "signature",
    "hmac",
    "bearer",
    "jwt",
    "saml",
    "assertion",
    "macaroon",
    "csrf",
    "xsrf",
];

/// Words that mean a secret only as a whole part of a name, as in `KC-API-SIGN`; within other words they mean nothing,
/// as in `X-Design`.
const SECRET_PARTS: [&str; 15] = [
    "pass", "pw", "pwd", "pin", "otp", "totp", "mfa", "2fa", "sid", "sig", "sign", "dpop", "wsse", "ticket", "consumer",
];

/// The end of a part that means a secret: `Ocp-Apim-Subscription-Key`, `AccessKey`.
const SECRET_END: &str = "key";

/// Tells whether a header belongs to one origin, so that it never goes to another (RFC 9110 §15.4): those of HTTP
/// itself (`Authorization`, `Cookie`, `Proxy-Authorization`), those whose name looks like a secret (`X-Api-Key`,
/// `X-Auth-Token`, `X-CSRF-Token`, …), and `Host`, which names a site of its server. One too many does less harm than
/// one too few.
pub fn belongs_to_origin(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let is_secret = |part: &str| SECRET_PARTS.contains(&part) || part.ends_with(SECRET_END);
    match &*name {
        "host" => true,
        // `:authority` and the like are not headers that a request can have, and `Author` names a writer.
        "author" => false,
        name => SECRET_WORDS.iter().any(|word| name.contains(word)) || name.split('-').any(is_secret),
    }
}
