/** Commands of `SSL_ctrl` and `SSL_CTX_ctrl`, for which the manual has macros. Source: openssl/ssl.h. */
export const Control = {
  SSL_CTRL_MODE: 33,
  SSL_CTRL_SET_READ_AHEAD: 41,
  SSL_CTRL_SET_SESS_CACHE_MODE: 44,
  SSL_CTRL_SET_TLSEXT_SERVERNAME_CB: 53,
  SSL_CTRL_SET_TLSEXT_HOSTNAME: 55,
  SSL_CTRL_SET_TLSEXT_TICKET_KEYS: 59,
  SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB: 63,
  SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP: 71,
  SSL_CTRL_CHAIN_CERT: 89,
  SSL_CTRL_SET_GROUPS_LIST: 92,
  SSL_CTRL_SET_DH_AUTO: 118,
  SSL_CTRL_SET_MIN_PROTO_VERSION: 123,
  SSL_CTRL_SET_MAX_PROTO_VERSION: 124,
} as const;

/** Modes, options and flags that contexts are made with. Source: openssl/ssl.h, openssl/x509_vfy.h. */
export const ContextFlag = {
  SSL_MODE_ENABLE_PARTIAL_WRITE: 0x1,
  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER: 0x2,
  SSL_MODE_NO_AUTO_CHAIN: 0x8,
  SSL_MODE_RELEASE_BUFFERS: 0x10,
  SSL_OP_IGNORE_UNEXPECTED_EOF: 2 ** 7,
  SSL_OP_NO_TICKET: 2 ** 14,
  SSL_OP_NO_COMPRESSION: 2 ** 17,
  SSL_OP_NO_RENEGOTIATION: 2 ** 30,
  SSL_SESS_CACHE_OFF: 0x0,
  SSL_SESS_CACHE_CLIENT: 0x1,
  SSL_SESS_CACHE_NO_INTERNAL: 0x300,
  SSL_VERIFY_NONE: 0x0,
  SSL_VERIFY_PEER: 0x1,
  SSL_VERIFY_FAIL_IF_NO_PEER_CERT: 0x2,
  X509_V_FLAG_CRL_CHECK: 0x4,
  X509_V_FLAG_CRL_CHECK_ALL: 0x8,
  X509_V_FLAG_PARTIAL_CHAIN: 0x80000,
  X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS: 0x4,
} as const;

/** What `SSL_get_error` answers. Source: openssl/ssl.h. */
export const SslError = {
  SSL_ERROR_NONE: 0,
  SSL_ERROR_SSL: 1,
  SSL_ERROR_WANT_READ: 2,
  SSL_ERROR_WANT_WRITE: 3,
  SSL_ERROR_SYSCALL: 5,
  SSL_ERROR_ZERO_RETURN: 6,
} as const;

/** Answers of callbacks to OpenSSL. Source: openssl/tls1.h, openssl/ssl.h. */
export const CallbackAnswer = {
  SSL_TLSEXT_ERR_OK: 0,
  SSL_TLSEXT_ERR_ALERT_FATAL: 2,
  SSL_TLSEXT_ERR_NOACK: 3,
  OPENSSL_NPN_NEGOTIATED: 1,
} as const;

/** What came of a ticket that a client has sent, as far as it matters here. Source: openssl/ssl.h. */
export const TicketStatus = {
  SSL_TICKET_SUCCESS: 5,
  SSL_TICKET_SUCCESS_RENEW: 6,
} as const;

/** What is to come of it: SSL_CTX_set_session_ticket_cb(3). Source: openssl/ssl.h. */
export const TicketReturn = {
  SSL_TICKET_RETURN_IGNORE_RENEW: 2,
  SSL_TICKET_RETURN_USE: 3,
  SSL_TICKET_RETURN_USE_RENEW: 4,
} as const;

/** Source: openssl/bio.h, openssl/evp.h, openssl/tls1.h, openssl/core.h, openssl/x509.h. */
export const Misc = {
  BIO_CTRL_EOF: 2,
  EVP_CTRL_AEAD_GET_TAG: 0x10,
  SSL_SENT_SHUTDOWN: 1,
  TLSEXT_NAMETYPE_host_name: 0,
  TLSEXT_STATUSTYPE_ocsp: 1,
  SSL_RECEIVED_SHUTDOWN: 2,
  NID_commonName: 13,
  OSSL_PARAM_UTF8_STRING: 4,
  OSSL_PARAM_OCTET_STRING: 5,
  /** A subject as RFC 2253 writes it, in UTF-8: XN_FLAG_RFC2253 without ASN1_STRFLGS_ESC_MSB. */
  XN_FLAG_RFC2253_UTF8: 0x1110313,
} as const;
