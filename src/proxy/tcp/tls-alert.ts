import { type Kernel, NativeMemory, Socket } from '../../splice/index.js';

/** Alert descriptions (RFC 8446 §6; no_application_protocol is RFC 7301 §3.2). */
export const Alert = {
  /** §6.1: we close, and nothing was wrong with what we read. */
  close_notify: 0,
  /** §6.2: a record or message in a place where it does not belong. */
  unexpected_message: 10,
  /** §6.2: a record longer than 2^14 bytes. */
  record_overflow: 22,
  /** §6.2: a field that is right by its syntax and wrong by its meaning. */
  illegal_parameter: 47,
  /** §6.2: a length that is out of range or disagrees with another one. */
  decode_error: 50,
  /** §6.2: a version that is recognised and not spoken. */
  protocol_version: 70,
  /** §6.2 and §9.2: no server_name where one is needed. */
  missing_extension: 109,
  /** §6.2 and RFC 6066 §3: a server_name that leads nowhere. */
  unrecognized_name: 112,
  /** RFC 7301 §3.2: the server knows none of the client's protocols. */
  no_application_protocol: 120,
} as const;
export type Alert = (typeof Alert)[keyof typeof Alert];

/** `ContentType alert`, and `AlertLevel` (RFC 8446 §5.1, §6). */
const CONTENT_TYPE_ALERT = 21;
const LEVEL_WARNING = 1;
const LEVEL_FATAL = 2;
/** RFC 8446 §5.1: what every record but the first of a client says. */
const LEGACY_RECORD_VERSION = 0x0303;
const RECORD_BYTES = 7;

// One block for the life of the worker: an alert costs no allocation and no address look-up.
const alerts = Object.values(Alert);
const records = new NativeMemory(alerts.length * RECORD_BYTES);
for (const [index, alert] of alerts.entries()) {
  const at = index * RECORD_BYTES;
  const level = alert === Alert.close_notify ? LEVEL_WARNING : LEVEL_FATAL;
  records.bytes[at] = CONTENT_TYPE_ALERT;
  records.bytes.writeUInt16BE(LEGACY_RECORD_VERSION, at + 1);
  records.bytes.writeUInt16BE(2, at + 3);
  records.bytes[at + 5] = level;
  records.bytes[at + 6] = alert;
}

/** The unencrypted record that says `alert`: seven bytes, the same ones each time; not to be written to. */
export function alertRecord(alert: Alert): Buffer {
  const at = alerts.indexOf(alert) * RECORD_BYTES;
  return records.bytes.subarray(at, at + RECORD_BYTES);
}

/**
 * Sends an alert. A socket that takes less than the seven bytes, or nothing, belongs to a client that
 * has closed or reads nothing: there is no second attempt.
 *
 * @returns bytes sent, or a negative error number
 */
export function sendAlert(kernel: Kernel, fd: number, alert: Alert): number {
  const address = records.address + alerts.indexOf(alert) * RECORD_BYTES;
  return kernel.send(fd, address, RECORD_BYTES, Socket.MSG_NOSIGNAL);
}
