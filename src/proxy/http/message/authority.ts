import { readIPv6 } from '../../../splice/index.js';
import {
  BRACKET_CLOSE,
  BRACKET_OPEN,
  CASE_BIT,
  COLON,
  DIGIT_0,
  DIGIT_9,
  DOT,
  isIPv6,
  isRegisteredName,
} from './characters.js';

/** RFC 1035 §2.3.4, and a dot at the end. */
const HOST_BYTES_MAX = 255;
const PORT_MAX = 65535;
/** The longest IPv6 address, with an IPv4 one in it. */
const IPV6_BYTES_MAX = 45;

const scratch = Buffer.alloc(16);
const otherScratch = Buffer.alloc(16);

/** Where the host of an authority is, and what port it names. */
export class Authority {
  /** bytes[start, end) are all of it. */
  start = 0;
  end = 0;
  hostStart = 0;
  /** An IPv6 address is there with its brackets. */
  hostEnd = 0;
  /** −1: none is named. */
  port = -1;

  /**
   * Reads `uri-host [ ":" port ]` (RFC 9110 §7.2). The port may be empty and is none then (RFC 3986
   * §3.2.3); a host may not be empty.
   *
   * @param bytes bytes[start, end) are the authority
   * @returns whether it is one
   */
  read(bytes: Buffer, start: number, end: number): boolean {
    this.start = start;
    this.end = end;
    this.hostStart = start;
    this.port = -1;
    let at = start;
    if (at < end && bytes[at] === BRACKET_OPEN) {
      at++;
      while (at < end && isIPv6[bytes[at]!] === 1) at++;
      if (at === end || bytes[at] !== BRACKET_CLOSE) return false;
      if (at - start > IPV6_BYTES_MAX || !isAddress(bytes, start + 1, at)) return false;
      at++;
    } else {
      for (let before = DOT; at < end && isRegisteredName[bytes[at]!] === 1; at++) {
        const byte = bytes[at]!;
        // An empty label: only the root's, at the end, may be.
        if (byte === DOT && before === DOT) return false;
        before = byte;
      }
      if (at === start || at - start > HOST_BYTES_MAX) return false;
    }
    this.hostEnd = at;
    if (at === end) return true;
    return bytes[at] === COLON && this.readPort(bytes, at + 1, end);
  }

  /**
   * Whether both name the same host, and the same port as far as both name one or the scheme of the
   * message tells.
   *
   * @param defaultPort what no port means, −1 for any
   */
  agrees(bytes: Buffer, other: Authority, defaultPort: number): boolean {
    if (!this.isHostOf(bytes, other)) return false;
    const port = this.port < 0 ? defaultPort : this.port;
    const otherPort = other.port < 0 ? defaultPort : other.port;
    return port === otherPort || port < 0 || otherPort < 0;
  }

  private isHostOf(bytes: Buffer, other: Authority): boolean {
    // There are many ways to write one address.
    if (bytes[this.hostStart] === BRACKET_OPEN && bytes[other.hostStart] === BRACKET_OPEN) {
      this.readAddress(bytes, scratch);
      other.readAddress(bytes, otherScratch);
      return scratch.equals(otherScratch);
    }
    const length = this.hostEnd - this.hostStart;
    if (other.hostEnd - other.hostStart !== length) return false;
    for (let index = 0; index < length; index++) {
      const one = bytes[this.hostStart + index]!;
      const two = bytes[other.hostStart + index]!;
      // Of all bytes a host may have, only letters differ in CASE_BIT alone.
      if (one !== two && (one | CASE_BIT) !== (two | CASE_BIT)) return false;
    }
    return true;
  }

  /** Of a host in brackets. */
  private readAddress(bytes: Buffer, into: Buffer): void {
    readIPv6(bytes.toString('latin1', this.hostStart + 1, this.hostEnd - 1), into, 0);
  }

  private readPort(bytes: Buffer, start: number, end: number): boolean {
    if (start === end) return true;
    let value = 0;
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!;
      if (byte < DIGIT_0 || byte > DIGIT_9) return false;
      value = value * 10 + byte - DIGIT_0;
      if (value > PORT_MAX) return false;
    }
    this.port = value;
    return true;
  }
}

function isAddress(bytes: Buffer, start: number, end: number): boolean {
  return readIPv6(bytes.toString('latin1', start, end), scratch, 0);
}
