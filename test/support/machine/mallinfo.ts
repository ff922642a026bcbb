import koffi from 'koffi';

// mallinfo2(3): what OpenSSL has from malloc and did not give back, to the byte; V8's heap is elsewhere.
const fields = ['arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks'];
const Mallinfo = koffi.struct(
  Object.fromEntries([...fields, 'fordblks', 'keepcost'].map((name) => [name, 'size_t'])),
);
/** Nothing where the C library has no such call. */
export const mallinfo = (() => {
  try {
    return koffi.load(null).func('mallinfo2', Mallinfo, []);
  } catch {
    return undefined;
  }
})();
/** Bytes that malloc has given away. */
export const allocated = (): number => mallinfo!().uordblks + mallinfo!().hblkhd;
