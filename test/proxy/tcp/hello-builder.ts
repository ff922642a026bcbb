// ClientHellos put together by hand, right ones and wrong ones, and the records they come in.

/** `opaque<0..2^(8·lengthBytes)−1>`: a length, then the bytes. */
export function vector(lengthBytes: number, content: Uint8Array | string): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(bytes.length, 0, lengthBytes);
  return Buffer.concat([length, bytes]);
}

export function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

export function extension(type: number, data: Uint8Array): Buffer {
  return Buffer.concat([uint16(type), vector(2, data)]);
}

export function serverName(...names: (string | [type: number, name: string])[]): Buffer {
  const entries = names.map((name) => {
    const [type, text] = typeof name === 'string' ? [0, name] : name;
    return Buffer.concat([Buffer.from([type]), vector(2, text)]);
  });
  return extension(0, vector(2, Buffer.concat(entries)));
}

export function alpn(...names: string[]): Buffer {
  return extension(16, vector(2, Buffer.concat(names.map((name) => vector(1, name)))));
}

export function supportedVersions(...versions: number[]): Buffer {
  return extension(43, vector(1, Buffer.concat(versions.map(uint16))));
}

export interface HelloParts {
  type?: number;
  version?: number;
  sessionId?: Buffer;
  /** With its length. */
  cipherSuites?: Buffer;
  /** With its length. */
  compression?: Buffer;
  extensions?: readonly Buffer[];
  /** Instead of `extensions`: the field with its length, or nothing at all. */
  rawExtensions?: Buffer;
}

/** A ClientHello as a handshake message. */
export function helloMessage(parts: HelloParts = {}): Buffer {
  const extensions = parts.extensions ?? [serverName('example.com')];
  const body = Buffer.concat([
    uint16(parts.version ?? 0x0303),
    Buffer.alloc(32, 0xaa),
    vector(1, parts.sessionId ?? Buffer.alloc(32, 0x55)),
    parts.cipherSuites ?? vector(2, Buffer.from([0x13, 0x01, 0x13, 0x02])),
    parts.compression ?? vector(1, Buffer.from([0])),
    parts.rawExtensions ?? vector(2, Buffer.concat(extensions)),
  ]);
  return Buffer.concat([Buffer.from([parts.type ?? 1]), vector(3, body)]);
}

export function record(fragment: Uint8Array, type = 22, version = 0x0301): Buffer {
  return Buffer.concat([Buffer.from([type]), uint16(version), vector(2, fragment)]);
}

/** A message in records of at most `fragmentBytes`. */
export function records(message: Uint8Array, fragmentBytes = 1 << 14): Buffer {
  const all: Buffer[] = [];
  for (let at = 0; at < message.length; at += fragmentBytes) {
    all.push(record(message.subarray(at, at + fragmentBytes)));
  }
  return Buffer.concat(all);
}

/** A whole hello in one record. */
export function hello(parts: HelloParts = {}): Buffer {
  return records(helloMessage(parts));
}
