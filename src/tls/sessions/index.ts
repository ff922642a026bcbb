/**
 * What lets a handshake be short the next time. Of a server, the keys of its tickets; of a client, the sessions that it
 * keeps for each endpoint, and how a ticket that the kernel has decrypted gets to OpenSSL after all
 * (`ticket-intake.ts`: it is sealed again, as a record).
 */
export { RecordSealer, SEALED_CONTENT_MAX, sealedRecord } from './record-sealer.js';
export { SessionCache, SessionSlot } from './session-slot.js';
export { TicketIntake, TicketOutcome, ticketOutcomes } from './ticket-intake.js';
export { TICKET_KEY_BYTES, TicketKeys } from './ticket-keys.js';
