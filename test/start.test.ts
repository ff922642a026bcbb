import t from 'tap';
import { type Config, loadConfig, start } from '#src/index.js';

const text = `{ log: { level: silent },
  listeners: { a: { bind: "127.0.0.1:0", tcp: { upstream: b } } },
  upstreams: { b: { endpoints: ["127.0.0.1:9"] } } }`;

t.test('start: what is no configuration is told, and changes nothing', async (t) => {
  const loaded = loadConfig(text);
  if (!loaded.ok) throw new Error('the configuration is not valid');
  const refusal = { name: 'TypeError', message: /loadConfig/ };
  const proxy = await start(loaded.config);
  t.teardown(() => proxy.close());
  for (const wrong of [undefined, null, 5, {}, [], { listeners: {} }, loaded]) {
    await t.rejects(start(wrong as unknown as Config), refusal);
    await t.rejects(proxy.reload(wrong as unknown as Config), refusal);
  }
  await t.rejects(start(''), /headgate.yaml:1:1: the file is empty/);
  t.match(await proxy.reload(text), { ok: true });
});
