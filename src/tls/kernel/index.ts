/**
 * The kernel's TLS, as a socket has it: whether there is any (`kernel-tls-offer.ts`, and what of it, `kernel-tls-probe.ts`), keys
 * going in one direction at a time (`kernel-tls.ts`), and records that are not application data (`control-record.ts`).
 */
export {
  receiveRecord,
  recordContent,
  recordType,
  sendRecord,
  TlsOption,
} from './control-record.js';
export {
  CRYPTO_INFO_BYTES_MAX,
  type CryptoInfoLayout,
  cryptoInfoLayout,
  writeCryptoInfo,
} from './crypto-info.js';
export {
  attachKernelTls,
  installKey,
  KernelTlsRefusal,
  kernelTlsRefusals,
  keyRefusal,
} from './kernel-tls.js';
export { offersKernelTls } from './kernel-tls-offer.js';
export { canRenewKernelKeys, type KernelTlsOffer, probeKernelTls } from './kernel-tls-probe.js';
