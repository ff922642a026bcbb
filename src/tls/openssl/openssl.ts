import koffi from 'koffi';

/**
 * The OpenSSL functions of this room, by their prototypes: the one place where they are named.
 * Pointers are `uintptr_t`, numbers here, as in splice/syscalls.ts; `str` is a C string that koffi
 * copies, for calls that are not made per event. What OpenSSL's headers offer as macros
 * (`SSL_CTX_set_mode`, say) is in truth `SSL_CTX_ctrl` with a command: see {@link Control}.
 */
const prototypes = [
  // Records and handshakes: the calls of every event come first.
  'int SSL_read(uintptr_t, uintptr_t, int)',
  'int SSL_write(uintptr_t, uintptr_t, int)',
  'int SSL_do_handshake(uintptr_t)',
  'int SSL_get_error(uintptr_t, int)',
  'int SSL_pending(uintptr_t)',
  'int SSL_has_pending(uintptr_t)',
  'int SSL_shutdown(uintptr_t)',
  'uintptr_t SSL_new(uintptr_t)',
  'void SSL_free(uintptr_t)',
  'int SSL_set_fd(uintptr_t, int)',
  'void SSL_set_accept_state(uintptr_t)',
  'void SSL_set_connect_state(uintptr_t)',
  'void SSL_set_read_ahead(uintptr_t, int)',
  'long SSL_ctrl(uintptr_t, int, long, uintptr_t)',
  'uintptr_t SSL_get_rbio(uintptr_t)',
  'void SSL_set0_rbio(uintptr_t, uintptr_t)',
  'void SSL_set0_wbio(uintptr_t, uintptr_t)',
  'void SSL_set_shutdown(uintptr_t, int)',
  'void SSL_set_info_callback(uintptr_t, uintptr_t)',

  // What a handshake has agreed on.
  'int SSL_version(uintptr_t)',
  'uintptr_t SSL_get_current_cipher(uintptr_t)',
  'str SSL_CIPHER_get_name(uintptr_t)',
  'uint16_t SSL_CIPHER_get_protocol_id(uintptr_t)',
  'int SSL_session_reused(uintptr_t)',
  'uintptr_t SSL_get_servername(uintptr_t, int)',
  'void SSL_get0_alpn_selected(uintptr_t, uintptr_t, uintptr_t)',
  'uintptr_t SSL_get0_peer_certificate(uintptr_t)',
  'uintptr_t SSL_get_certificate(uintptr_t)',
  'long SSL_get_verify_result(uintptr_t)',
  'size_t SSL_get_client_random(uintptr_t, uintptr_t, size_t)',
  'size_t SSL_get_server_random(uintptr_t, uintptr_t, size_t)',
  'int SSL_client_hello_get0_ext(uintptr_t, uint, uintptr_t, uintptr_t)',

  // Sessions.
  'uintptr_t SSL_get1_session(uintptr_t)',
  'int SSL_set_session(uintptr_t, uintptr_t)',
  'void SSL_SESSION_free(uintptr_t)',
  'int SSL_SESSION_is_resumable(uintptr_t)',
  'int SSL_SESSION_get_protocol_version(uintptr_t)',
  'uintptr_t SSL_SESSION_get0_hostname(uintptr_t)',

  // Contexts.
  'uintptr_t TLS_server_method()',
  'uintptr_t TLS_client_method()',
  'uintptr_t SSL_CTX_new(uintptr_t)',
  'void SSL_CTX_free(uintptr_t)',
  'uintptr_t SSL_set_SSL_CTX(uintptr_t, uintptr_t)',
  'long SSL_CTX_ctrl(uintptr_t, int, long, uintptr_t)',
  'long SSL_CTX_callback_ctrl(uintptr_t, int, uintptr_t)',
  'uint64_t SSL_CTX_set_options(uintptr_t, uint64_t)',
  'int SSL_CTX_set_cipher_list(uintptr_t, str)',
  'int SSL_CTX_set_ciphersuites(uintptr_t, str)',
  'int SSL_CTX_use_certificate(uintptr_t, uintptr_t)',
  'int SSL_CTX_use_PrivateKey(uintptr_t, uintptr_t)',
  'int SSL_CTX_check_private_key(uintptr_t)',
  'void SSL_CTX_set_verify(uintptr_t, int, uintptr_t)',
  'void SSL_CTX_set_verify_depth(uintptr_t, int)',
  'uintptr_t SSL_CTX_get_cert_store(uintptr_t)',
  'int SSL_CTX_set1_cert_store(uintptr_t, uintptr_t)',
  'int SSL_CTX_add_client_CA(uintptr_t, uintptr_t)',
  'uintptr_t SSL_CTX_get_client_CA_list(uintptr_t)',
  'void SSL_CTX_set_client_CA_list(uintptr_t, uintptr_t)',
  'uintptr_t SSL_dup_CA_list(uintptr_t)',
  'void SSL_CTX_set_alpn_select_cb(uintptr_t, uintptr_t, uintptr_t)',
  'int SSL_CTX_set_alpn_protos(uintptr_t, uintptr_t, uint)',
  'int SSL_select_next_proto(uintptr_t, uintptr_t, uintptr_t, uint, uintptr_t, uint)',
  'void SSL_CTX_set_keylog_callback(uintptr_t, uintptr_t)',
  'int SSL_CTX_set_num_tickets(uintptr_t, size_t)',
  'int SSL_CTX_set_tlsext_ticket_key_evp_cb(uintptr_t, uintptr_t)',
  'int SSL_CTX_set_session_ticket_cb(uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  'void SSL_CTX_sess_set_new_cb(uintptr_t, uintptr_t)',
  'int SSL_CTX_set_session_id_context(uintptr_t, uintptr_t, uint)',
  'void SSL_CTX_set_default_read_buffer_len(uintptr_t, size_t)',

  // Memory and socket BIOs.
  'uintptr_t BIO_new(uintptr_t)',
  'uintptr_t BIO_s_mem()',
  'uintptr_t BIO_s_null()',
  'uintptr_t BIO_new_mem_buf(uintptr_t, int)',
  'int BIO_read(uintptr_t, uintptr_t, int)',
  'int BIO_write(uintptr_t, uintptr_t, int)',
  'long BIO_ctrl(uintptr_t, int, long, uintptr_t)',
  'int BIO_free(uintptr_t)',
  // 64 bits wide; the lower half is enough for differences, and is never a BigInt.
  'uint BIO_number_read(uintptr_t)',
  'uint BIO_number_written(uintptr_t)',

  // Certificates and keys.
  'uintptr_t PEM_read_bio_X509(uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  'uintptr_t PEM_read_bio_X509_CRL(uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  'uintptr_t PEM_read_bio_PrivateKey(uintptr_t, uintptr_t, uintptr_t, str)',
  'void X509_free(uintptr_t)',
  'void X509_CRL_free(uintptr_t)',
  'void EVP_PKEY_free(uintptr_t)',
  'int EVP_PKEY_get_base_id(uintptr_t)',
  'uintptr_t X509_get_subject_name(uintptr_t)',
  'int X509_NAME_get_text_by_NID(uintptr_t, int, uintptr_t, int)',
  'int X509_NAME_print_ex(uintptr_t, uintptr_t, int, ulong)',
  'uintptr_t X509_CRL_get_issuer(uintptr_t)',
  'uintptr_t X509_CRL_get0_lastUpdate(uintptr_t)',
  'uintptr_t X509_CRL_get0_nextUpdate(uintptr_t)',
  'int ASN1_TIME_to_tm(uintptr_t, uintptr_t)',
  'int X509_STORE_add_cert(uintptr_t, uintptr_t)',
  'int X509_STORE_add_crl(uintptr_t, uintptr_t)',
  'int X509_STORE_set_flags(uintptr_t, ulong)',
  'str X509_verify_cert_error_string(long)',
  'uintptr_t SSL_get0_param(uintptr_t)',
  'int X509_VERIFY_PARAM_set1_host(uintptr_t, str, size_t)',
  'int X509_VERIFY_PARAM_set1_ip_asc(uintptr_t, str)',
  'void X509_VERIFY_PARAM_set_hostflags(uintptr_t, uint)',

  // Session tickets.
  'uintptr_t EVP_aes_256_cbc()',
  'int EVP_EncryptInit_ex(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  'int EVP_DecryptInit_ex(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t)',
  'int EVP_MAC_CTX_set_params(uintptr_t, uintptr_t)',
  'int RAND_bytes(uintptr_t, int)',

  // Records sealed here.
  'uintptr_t EVP_aes_128_gcm()',
  'uintptr_t EVP_aes_256_gcm()',
  'uintptr_t EVP_chacha20_poly1305()',
  'uintptr_t EVP_CIPHER_CTX_new()',
  'void EVP_CIPHER_CTX_free(uintptr_t)',
  'int EVP_CIPHER_CTX_ctrl(uintptr_t, int, int, uintptr_t)',
  'int EVP_EncryptUpdate(uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)',
  'int EVP_EncryptFinal_ex(uintptr_t, uintptr_t, uintptr_t)',

  // Errors.
  'ulong ERR_get_error()',
  'ulong ERR_peek_error()',
  'void ERR_clear_error()',
  'str ERR_reason_error_string(ulong)',
  'str OpenSSL_version(int)',

  // Memory of OpenSSL's own.
  'uintptr_t CRYPTO_malloc(size_t, str, int)',
  'int CRYPTO_memcmp(uintptr_t, uintptr_t, size_t)',
  'size_t OPENSSL_strlcpy(uintptr_t, uintptr_t, size_t)',
  // The C library's, and under the same roof: it moves bytes between OpenSSL's memory and ours.
  'uintptr_t memcpy(uintptr_t, uintptr_t, size_t)',
] as const;

type Prototype = (typeof prototypes)[number];
type NameOf<P> = P extends `${string} ${infer Name}(${string})` ? Name : never;
type ValueOf<T> = T extends 'str' ? string | null : T extends 'void' ? undefined : number;
type ArgumentsOf<List> = List extends `${infer First}, ${infer Rest}`
  ? [ValueOf<First>, ...ArgumentsOf<Rest>]
  : List extends ''
    ? []
    : [ValueOf<List>];
type CallOf<P> = P extends `${infer Result} ${string}(${infer List})`
  ? (...args: ArgumentsOf<List>) => ValueOf<Result>
  : never;

/** OpenSSL as it is: its names, its arguments, its results. */
export type OpenSsl = { readonly [P in Prototype as NameOf<P>]: CallOf<P> };

/** Where symbols are looked up; koffi's handle of this process, or a test's own. */
export interface SymbolLibrary {
  func(prototype: string): unknown;
}

let table: OpenSsl | undefined;

/**
 * The OpenSSL inside this Node. Another copy must not be loaded beside it: their symbols collide. A
 * Node that was linked against the system's libssl works as well, since its symbols are the process's.
 *
 * @throws Error naming every function this Node does not have
 */
export function loadOpenSsl(): OpenSsl {
  table ??= bindOpenSsl(koffi.load(null));
  return table;
}

/** @throws Error naming every function the library does not have */
export function bindOpenSsl(library: SymbolLibrary): OpenSsl {
  const missing: string[] = [];
  const calls: Record<string, unknown> = {};
  for (const prototype of prototypes) {
    const name = prototype.slice(prototype.indexOf(' ') + 1, prototype.indexOf('('));
    try {
      calls[name] = library.func(prototype);
    } catch {
      missing.push(name);
    }
  }
  if (missing.length > 0) throw new Error(missingMessage(missing));
  return calls as OpenSsl;
}

function missingMessage(missing: readonly string[]): string {
  const { node_shared_openssl: isShared } = process.config.variables as Record<string, unknown>;
  const kind = isShared === true ? 'a shared OpenSSL' : 'its own OpenSSL';
  return (
    `TLS needs functions that Node ${process.version} with ${kind} ${process.versions.openssl} ` +
    `does not offer: ${missing.join(', ')}. Use a Node from nodejs.org, 20 or newer.`
  );
}

/** What OpenSSL calls back, by the names of its manual pages. */
export const Callback = {
  /** SSL_CTX_set_keylog_callback(3): ssl, line. */
  keylog: 'void (uintptr_t, uintptr_t)',
  /** SSL_CTX_set_tlsext_servername_callback(3): ssl, address of the alert, argument. */
  servername: 'int (uintptr_t, uintptr_t, uintptr_t)',
  /** SSL_CTX_set_alpn_select_cb(3): ssl, out, outlen, in, inlen, argument. */
  alpnSelect: 'int (uintptr_t, uintptr_t, uintptr_t, uintptr_t, uint, uintptr_t)',
  /** SSL_CTX_set_tlsext_status_cb(3): ssl, argument. */
  status: 'int (uintptr_t, uintptr_t)',
  /** SSL_CTX_set_tlsext_ticket_key_evp_cb(3): ssl, key_name, iv, cipher, mac, enc. */
  ticketKey: 'int (uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)',
  /** SSL_CTX_set_session_ticket_cb(3): ssl, session, key_name, keyname_len, status, argument. */
  ticketSession: 'int (uintptr_t, uintptr_t, uintptr_t, size_t, int, uintptr_t)',
  /** SSL_set_info_callback(3): ssl, where, ret. */
  info: 'void (uintptr_t, int, int)',
  /** SSL_CTX_sess_set_new_cb(3): ssl, session. */
  newSession: 'int (uintptr_t, uintptr_t)',
} as const;

type CallbackOf<P> = P extends `${infer Result} (${infer List})`
  ? (...args: ArgumentsOf<List>) => ValueOf<Result>
  : never;

/**
 * Makes a function that OpenSSL can call, on this thread and from inside a call of ours. There is a
 * limit of some thousands: one of a kind for a thread is what it is for, and it lasts as long.
 *
 * @param run must not throw: there is C code below it
 * @returns its address
 */
export function registerCallback<K extends keyof typeof Callback>(
  kind: K,
  run: CallbackOf<(typeof Callback)[K]>,
): number {
  const prototype = Callback[kind].replace(' (', ` ${kind}(`);
  protos[kind] ??= koffi.proto(prototype);
  return Number(koffi.register(run, koffi.pointer(protos[kind])));
}

const protos: Partial<Record<keyof typeof Callback, ReturnType<typeof koffi.proto>>> = {};

/** The error number that the last call has left behind: to be read before any other. */
export function lastErrno(): number {
  return koffi.errno();
}

/** A C string in memory that is not ours, as it is now. */
export function readString(address: number): string {
  return koffi.decode.string(BigInt(address));
}
