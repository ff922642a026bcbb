import t from 'tap';
import { ClientHello, Rejection, type ServerNameRule, ServerNames } from '#src/proxy/tcp/index.js';

function find(
  rules: readonly ServerNameRule[],
  name: string | undefined,
  ...alpn: string[]
): number {
  return new ServerNames(rules).find(helloFor(name, ...alpn));
}

function helloFor(name: string | undefined, ...alpn: string[]): ClientHello {
  const hello = new ClientHello();
  hello.serverName = name;
  hello.alpn.push(...alpn);
  return hello;
}

t.test('server names: an exact name wins over wildcards, in any order of rules', async (t) => {
  const rules = [
    { names: [] },
    { names: ['*'] },
    { names: ['*.com'] },
    { names: ['*.example.com'] },
    { names: ['*.eu.example.com'] },
    { names: ['db.eu.example.com', 'example.com'] },
  ];
  for (const order of [rules, [...rules].reverse()]) {
    const names = new ServerNames(order);
    const found = (name?: string) => rules.indexOf(order[names.find(helloFor(name))]!);
    t.equal(found('db.eu.example.com'), 5);
    t.equal(found('example.com'), 5);
    t.equal(found('a.eu.example.com'), 4);
    t.equal(found('a.b.eu.example.com'), 4, 'a wildcard stands for several labels');
    t.equal(found('eu.example.com'), 3, 'and for at least one');
    t.equal(found('xeu.example.com'), 3, 'whole labels');
    t.equal(found('anexample.com'), 2);
    t.equal(found('com'), 1);
    t.equal(found('example.org'), 1);
    t.equal(found(), 0, 'without a name');
  }
});

t.test('server names: the first rule of the same pattern wins', async (t) => {
  t.equal(find([{ names: ['a.example'] }, { names: ['A.Example'] }], 'a.example'), 0);
  t.equal(find([{ names: [] }, { names: [] }], 'a.example'), 0);
});

t.test('server names: a rule whose ALPN condition fails is as if it were not there', async (t) => {
  const rules = [
    { names: ['a.example'], alpn: ['h2', 'http/1.1'] },
    { names: ['a.example'], alpn: ['postgresql'] },
    { names: ['*.example'], alpn: ['mqtt'] },
    { names: ['*.example', 'b.test'], alpn: ['imap'] },
  ];
  t.equal(find(rules, 'a.example', 'x', 'http/1.1'), 0);
  t.equal(find(rules, 'a.example', 'postgresql'), 1);
  t.equal(find(rules, 'a.example', 'imap'), 3);
  t.equal(find(rules, 'a.example', 'mqtt', 'h2'), 0, 'the longer pattern first');
  t.equal(find(rules, 'a.example', 'h3'), -Rejection.alpn_unknown);
  t.equal(find(rules, 'a.example'), -Rejection.alpn_unknown);
  t.equal(find(rules, 'c.test', 'h2'), -Rejection.server_name_unknown);
  t.equal(find(rules, undefined, 'h2'), -Rejection.server_name_missing);
  t.equal(find([{ names: [], alpn: ['h2'] }], undefined), -Rejection.alpn_unknown);
  t.equal(find([{ names: [], alpn: ['h2'] }], undefined, 'h2'), 0);
  t.equal(find([...rules, { names: [] }], 'c.test'), 4);
});

t.test('server names: a star is a name, no name is none', async (t) => {
  t.equal(find([{ names: ['*'] }], 'a'), 0);
  t.equal(find([{ names: ['*'] }], undefined), -Rejection.server_name_missing);
  t.equal(find([], 'a'), -Rejection.server_name_unknown);
  t.equal(find([], undefined), -Rejection.server_name_missing);
});

t.test('server names: names in other scripts are found by their A-labels', async (t) => {
  const rules = [{ names: ['*.bücher.example', 'MÜNCHEN.example'] }];
  t.equal(find(rules, 'a.xn--bcher-kva.example'), 0);
  t.equal(find(rules, 'xn--mnchen-3ya.example'), 0);
  t.equal(find([{ names: ['my_db'] }], 'my_db'), 0);
});

t.test('server names: a pattern that nothing can match is refused', async (t) => {
  for (const name of [
    ...['', '*.', '**', '*a.example', 'a.*.example', 'a.*', '.example.com', 'example.com.', 'a..b'],
    ...['127.0.0.1', '[::1]', 'a b', '*.*.example', 'a/b', '-a.example', '*.1.2'],
  ]) {
    t.throws(() => new ServerNames([{ names: [name] }]), RangeError, name);
  }
});

t.test('server names: twenty thousand names agree with the plain definition', async (t) => {
  const labels = ['a', 'b', 'ab', 'ba', 'x-1', 'example'];
  const rules: ServerNameRule[] = [];
  for (let index = 0; index < 20_000; index++) {
    const depth = 1 + (index % 5);
    const name = Array.from({ length: depth }, (_, at) => labels[(index >> at) % labels.length]);
    const text = [...name, `n${index % 4000}`, 'test'].join('.');
    rules.push({ names: [index % 3 === 0 ? `*.${text}` : text] });
  }
  const names = new ServerNames(rules);
  const firstOf = new Map<string, number>();
  for (const [index, { names }] of rules.entries()) {
    if (!firstOf.has(names[0]!)) firstOf.set(names[0]!, index);
  }
  const expected = (name: string) => {
    const parts = name.split('.');
    const patterns = [name, ...parts.map((_, at) => `*.${parts.slice(at + 1).join('.')}`)];
    const found = patterns
      .map((pattern) => firstOf.get(pattern))
      .find((index) => index !== undefined);
    return found ?? -Rejection.server_name_unknown;
  };
  let wrong = 0;
  for (let index = 0; index < 20_000; index++) {
    const name = `${labels[index % 6]}.${rules[index]!.names[0]!.replace('*.', '')}`;
    for (const asked of [name, name.slice(name.indexOf('.') + 1)]) {
      if (names.find(helloFor(asked)) !== expected(asked)) wrong++;
    }
  }
  t.equal(wrong, 0);
});
