//! TLS, HTTP, content negotiation, discovery, and the one door that every request goes through.
