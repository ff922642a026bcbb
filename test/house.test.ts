import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const source = fileURLToPath(new URL('../../src', import.meta.url));
const tests = fileURLToPath(new URL('../../test', import.meta.url));

/** Rooms from the roof down: a file may import its own room and those that stand lower. */
const floors = ['cli', 'control', 'proxy', 'tls', 'splice'];
/** The rooms of tls, likewise. */
const tlsFloors = [
  'handshake',
  'transport',
  'contexts',
  'sessions',
  'kernel',
  'openssl',
  'protocol',
];
/** Rooms beside the stairs, and who may come in; `types` may be imported as types only. */
const besides: Record<string, readonly string[]> = {
  config: ['index.ts', 'cli', 'control', 'config'],
};
const configTypesOnly = ['proxy'];

interface Import {
  file: string;
  room: string;
  target: string;
  isLocal: boolean;
  isTypeOnly: boolean;
}

const files = (readdirSync(source, { recursive: true }) as string[]).filter((name) =>
  name.endsWith('.ts'),
);

function importsOf(file: string): Import[] {
  const text = readFileSync(join(source, file), 'utf8');
  const statements = text.matchAll(
    /^(?:import|export)\s(?<what>[^;]*?)from '(?<target>[^']+)';/gms,
  );
  return [...statements].map(({ groups }) => ({
    file,
    room: file.split('/')[0]!,
    target: groups!.target!.startsWith('.')
      ? relative(source, join(source, file, '..', groups!.target!))
      : groups!.target!,
    isLocal: groups!.target!.startsWith('.'),
    isTypeOnly: groups!.what!.startsWith('type '),
  }));
}

const imports = files.flatMap(importsOf);
const local = imports.filter(({ isLocal }) => isLocal);

t.test('house: there is something to look at', async (t) => {
  t.ok(files.length > 20, `${files.length} files`);
  t.ok(local.length > 50, `${local.length} imports`);
});

t.test('house: imports point one way, cli → control → proxy → tls → splice', async (t) => {
  for (const { file, room, target, isTypeOnly } of local) {
    const targetRoom = target.split('/')[0]!;
    if (targetRoom === room || !target.includes('/')) continue;
    if (targetRoom in besides) {
      const mayEnter =
        besides[targetRoom]!.includes(room) || (configTypesOnly.includes(room) && isTypeOnly);
      if (!mayEnter) t.fail(`${file} imports ${target}`);
      continue;
    }
    const from = room.endsWith('.ts') ? -1 : floors.indexOf(room);
    const to = floors.indexOf(targetRoom);
    if (to < 0 || (room !== 'config' && to < from) || room === 'config') {
      t.fail(`${file} imports ${target}`);
    }
  }
});

t.test('house: the rooms of tls stand one upon the other', async (t) => {
  const floorOf = (path: string) => {
    const [, room] = /^tls\/(\w+)\//.exec(path) ?? [];
    if (room === undefined) return -1;
    t.ok(tlsFloors.includes(room), `tls/${room} has a floor`);
    return tlsFloors.indexOf(room);
  };
  for (const { file, target } of local.filter(({ room }) => room === 'tls')) {
    if (!target.startsWith('tls/')) continue;
    if (floorOf(target) < floorOf(file)) t.fail(`${file} imports ${target}`);
  }
});

t.test('house: a room is entered by its door, index.ts, except from within', async (t) => {
  for (const { file, target } of local) {
    const room = dirname(target);
    const isWithin = room === '.' || `${dirname(file)}/`.startsWith(`${room}/`);
    if (!isWithin && basename(target) !== 'index.js') t.fail(`${file} imports ${target}`);
  }
});

t.test('house: only splice/syscalls.ts and tls/openssl/openssl.ts load koffi', async (t) => {
  const loaders = imports.filter(({ target }) => target === 'koffi').map(({ file }) => file);
  const allowed = ['splice/syscalls.ts', 'tls/openssl/openssl.ts'];
  t.same(
    loaders.filter((file) => !allowed.includes(file)),
    [],
  );
  t.ok(loaders.includes('splice/syscalls.ts'));
});

t.test('house: typebox is there to make the schema, not to run', async (t) => {
  const loaders = imports.filter(({ target }) => target === 'typebox').map(({ file }) => file);
  t.ok(loaders.length > 0);
  for (const { file, target, isTypeOnly } of imports) {
    if (loaders.includes(file) || isTypeOnly) continue;
    if (loaders.includes(target.replace(/\.js$/, '.ts'))) t.fail(`${file} imports ${target}`);
  }
});

t.test('house: the data path never touches Node’s sockets, streams or timers', async (t) => {
  const forbidden = /^node:(net|tls|http|https|stream|dns|timers|fs)\b/;
  for (const { file, room, target } of imports) {
    if (!['proxy', 'tls', 'splice'].includes(room)) continue;
    if (forbidden.test(target)) t.fail(`${file} imports ${target}`);
  }
  for (const file of files.filter((name) => /^(proxy|tls|splice)\//.test(name))) {
    const text = readFileSync(join(source, file), 'utf8');
    if (/\b(setTimeout|setInterval|setImmediate|await|Promise)\b\(?/.test(stripComments(text))) {
      t.fail(`${file} uses a timer or a promise`);
    }
  }
});

t.test('house: every room opens with an index.ts that says what it is for', async (t) => {
  const rooms = new Set(files.map(dirname).filter((room) => room !== '.'));
  for (const room of rooms) {
    const text = readFileSync(join(source, room, 'index.ts'), 'utf8');
    t.ok(text.startsWith('/**'), room);
  }
});

t.test('house: no room has become a hall, the tests’ neither', async (t) => {
  for (const root of [source, tests]) {
    const all = readdirSync(root, { recursive: true }) as string[];
    const rooms = all
      .filter((name) => name.endsWith('.ts'))
      .map((name) => dirname(join(root, name)));
    for (const room of new Set(rooms)) {
      const count = rooms.filter((other) => other === room).length;
      if (count > 40) t.fail(`${room} has ${count} files`);
    }
  }
});

t.test(
  'house: what tests stand on is in rooms, as its README lists them from the top down',
  async (t) => {
    const support = join(tests, 'support');
    const readme = readFileSync(join(support, 'README.md'), 'utf8');
    const listed = [...readme.matchAll(/^\| `([a-z-]+)\/` \|/gm)].map(([, room]) => room!);
    const names = readdirSync(support, { recursive: true }) as string[];
    const helpers = names.filter((name) => name.endsWith('.ts'));
    t.same(new Set(helpers.map(dirname).filter((room) => room !== '.')), new Set(listed));
    /** Those beside the README are below all rooms. */
    const floorOf = (path: string) =>
      path.includes('/') ? listed.indexOf(dirname(path)) : listed.length;
    for (const helper of helpers) {
      const text = readFileSync(join(support, helper), 'utf8');
      for (const [, target] of text.matchAll(/from '(\.[^']+)'/g)) {
        const path = join(dirname(helper), target!);
        if (floorOf(path) < floorOf(helper)) t.fail(`${helper} imports ${path}`);
      }
    }
  },
);

t.test('house: one noun a file, no drawers, and no file that has become two', async (t) => {
  for (const file of files) {
    if (/\b(utils?|helpers?|common|misc)\.ts$/.test(file)) t.fail(`${file}: what is its noun?`);
    const lines = readFileSync(join(source, file), 'utf8').split('\n').length;
    if (lines > 400) t.fail(`${file} has ${lines} lines`);
  }
});

function stripComments(text: string): string {
  return text.replace(/\/\*.*?\*\//gs, '').replace(/\/\/.*$/gm, '');
}
