const LF = 0x0a;
const NONE = -1;

/** How many lines end behind `from`. */
export function countLines(bytes: Buffer, from = 0): number {
  let lines = 0;
  for (let at = bytes.indexOf(LF, from); at !== NONE; at = bytes.indexOf(LF, at + 1)) lines++;
  return lines;
}
