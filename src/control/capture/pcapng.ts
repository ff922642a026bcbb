/** draft-ietf-opsawg-pcapng, "Block Types" and "Options" */
const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OPT_END = 0;
const OPT_COMMENT = 1;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
/** https://www.tcpdump.org/linktypes.html: packets begin with an IPv4 or IPv6 header. */
const LINKTYPE_RAW = 101;

const PACKET_HEADER_BYTES = 28;
const BLOCK_BYTES = 256 * 1024;

/**
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian, times in microseconds. They are handed out as
 * buffers of some size, each written once.
 */
export class PcapngBlocks {
  private block = Buffer.allocUnsafe(BLOCK_BYTES);
  private length = 0;
  private readonly full: Buffer[] = [];

  /** Begins the file. @param application who made it @param comment shown for the file */
  section(application: string, comment: string): void {
    const options = [option(SHB_USERAPPL, application), option(OPT_COMMENT, comment)];
    const body = Buffer.alloc(16);
    body.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
    body.writeUInt16LE(1, 4);
    // Nobody knows the length beforehand.
    body.writeBigInt64LE(-1n, 8);
    this.put(SECTION_HEADER, Buffer.concat([body, ...options, endOfOptions]));
  }

  /** The interface that all packets are of. */
  interface(name: string): void {
    const body = Buffer.alloc(8);
    body.writeUInt16LE(LINKTYPE_RAW, 0);
    this.put(INTERFACE_DESCRIPTION, Buffer.concat([body, option(IF_NAME, name), endOfOptions]));
  }

  /**
   * A packet.
   *
   * @param timeUs since 1970; what a wrong clock says was before is written as the beginning
   * @returns where its `length` bytes are to be written, at once
   */
  packet(timeUs: number, length: number): Buffer {
    const padded = (length + 3) & ~3;
    const total = PACKET_HEADER_BYTES + padded + 4;
    const block = this.reserve(total);
    const at = this.length;
    block.writeUInt32LE(ENHANCED_PACKET, at);
    block.writeUInt32LE(total, at + 4);
    block.writeUInt32LE(0, at + 8);
    const sinceUs = Math.max(0, timeUs);
    block.writeUInt32LE(Math.floor(sinceUs / 2 ** 32), at + 12);
    block.writeUInt32LE(sinceUs % 2 ** 32, at + 16);
    block.writeUInt32LE(length, at + 20);
    block.writeUInt32LE(length, at + 24);
    block.fill(0, at + PACKET_HEADER_BYTES + length, at + PACKET_HEADER_BYTES + padded);
    block.writeUInt32LE(total, at + total - 4);
    this.length += total;
    const start = at + PACKET_HEADER_BYTES;
    return block.subarray(start, start + length);
  }

  /** What is ready to be written out. */
  *take(): Generator<Buffer> {
    while (this.full.length > 0) yield this.full.shift()!;
  }

  /** All there is. */
  *finish(): Generator<Buffer> {
    yield* this.take();
    if (this.length > 0) yield this.block.subarray(0, this.length);
    this.length = 0;
  }

  private put(type: number, body: Buffer): void {
    const total = body.length + 12;
    const block = this.reserve(total);
    block.writeUInt32LE(type, this.length);
    block.writeUInt32LE(total, this.length + 4);
    body.copy(block, this.length + 8);
    block.writeUInt32LE(total, this.length + total - 4);
    this.length += total;
  }

  private reserve(bytes: number): Buffer {
    if (this.length + bytes > BLOCK_BYTES) {
      this.full.push(this.block.subarray(0, this.length));
      this.block = Buffer.allocUnsafe(BLOCK_BYTES);
      this.length = 0;
    }
    return this.block;
  }
}

const endOfOptions = Buffer.from([OPT_END, 0, 0, 0]);

function option(code: number, text: string): Buffer {
  const value = Buffer.from(text);
  const padded = Buffer.alloc(4 + ((value.length + 3) & ~3));
  padded.writeUInt16LE(code, 0);
  padded.writeUInt16LE(value.length, 2);
  value.copy(padded, 4);
  return padded;
}
