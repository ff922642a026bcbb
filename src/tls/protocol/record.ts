/** ContentType (RFC 8446 §5.1). */
export const RecordType = {
  ChangeCipherSpec: 20,
  Alert: 21,
  Handshake: 22,
  ApplicationData: 23,
} as const;

/** The most that a record can hold (RFC 8446 §5.1). */
export const RECORD_BYTES_MAX = 16384;
