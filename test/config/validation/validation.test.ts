import t from 'tap';
import { withDefaults } from '#src/config/validation/defaults.js';
import { validator } from '#src/config/validation/validation.js';

/** The shapes that later keys have, to show that nothing but the schema need know them. */
const schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    endpoints: {
      type: 'array',
      maxItems: 3,
      items: {
        anyOf: [
          { type: 'string', address: 'endpoint' },
          {
            type: 'object',
            additionalProperties: false,
            required: ['address'],
            properties: {
              address: { type: 'string', address: 'endpoint' },
              weight: { type: 'integer', minimum: 1, default: 1 },
            },
          },
        ],
      },
    },
    balance: {
      anyOf: [
        { enum: ['round_robin', 'least_connections'], type: 'string' },
        {
          type: 'object',
          additionalProperties: false,
          required: ['hash'],
          properties: { hash: { type: 'string' } },
        },
      ],
    },
    action: {
      anyOf: [
        {
          type: 'object',
          additionalProperties: false,
          required: ['redirect'],
          properties: { redirect: { type: 'string' }, status: { type: 'integer', maximum: 399 } },
        },
        {
          type: 'object',
          additionalProperties: false,
          required: ['respond'],
          properties: { respond: { type: 'string' }, status: { type: 'integer', default: 200 } },
        },
      ],
    },
    check: {
      anyOf: [
        {
          type: 'object',
          required: ['kind'],
          properties: { kind: { const: 'http' }, path: { type: 'string' } },
        },
        {
          type: 'object',
          required: ['kind'],
          properties: { kind: { const: 'tcp' }, send: { type: 'string', maxLength: 3 } },
        },
      ],
    },
    one: {
      type: 'object',
      properties: { a: {}, b: {}, c: {} },
      oneOf: [{ required: ['a'] }, { required: ['b'] }, { required: ['c'] }],
    },
    ratio: { type: 'number', minimum: 0 },
    share: { type: 'number', maximum: 1 },
  },
};
const validate = validator(schema);

function told(value: unknown): string[] {
  return validate(value).map(({ pointer, at, message }) => `${at} ${pointer} ${message}`);
}

t.test(
  'validation: a union of a string and a mapping speaks of the one that was meant',
  async (t) => {
    t.strictSame(told({ endpoints: ['127.0.0.1:1', { address: '[::1]:1', weight: 2 }] }), []);
    t.strictSame(told({ endpoints: ['127.0.0.1', { address: 'x y:1', wieght: 2 }, {}] }), [
      'value /endpoints/0 endpoints[0] is "127.0.0.1": no port, expected 127.0.0.1:port',
      'key /endpoints/1/wieght unknown key "wieght" in endpoints[1], did you mean "weight"?',
      'value /endpoints/1/address endpoints[1].address is "x y:1": "x y" is not an IP address, expected IPv4:port or [IPv6]:port',
      'key /endpoints/2 endpoints[2] has no "address", expected an endpoint (IPv4:port, [IPv6]:port, name:port, srv:_service._proto.name, unix:/path or unix:@name)',
    ]);
    t.strictSame(told({ endpoints: [5] }), [
      'value /endpoints/0 endpoints[0] is 5, expected an endpoint (IPv4:port, [IPv6]:port, name:port, srv:_service._proto.name, unix:/path or unix:@name) or a mapping with address',
    ]);
  },
);

t.test('validation: a word that is none of a union is told all of it', async (t) => {
  t.strictSame(told({ balance: 'least_conections' }), [
    'value /balance balance is "least_conections", expected round_robin, least_connections or a mapping with hash; did you mean "least_connections"?',
  ]);
  t.strictSame(told({ balance: { hsah: 'path' } }), [
    'key /balance balance has no "hash", expected a string',
    'key /balance/hsah unknown key "hsah" in balance, did you mean "hash"?',
  ]);
  t.strictSame(told({ balance: ['round_robin'] }), [
    'value /balance balance is a list, expected round_robin, least_connections or a mapping with hash',
  ]);
});

t.test('validation: mappings are told apart by their keys, and by constants first', async (t) => {
  t.strictSame(told({ action: { respond: 5, status: 404 } }), [
    'value /action/respond action.respond is 5, expected a string',
  ]);
  t.strictSame(told({ action: { redirect: '/', status: 404 } }), [
    'value /action/status action.status is 404, expected a whole number of at most 399',
  ]);
  t.strictSame(told({ check: { kind: 'tcp', path: '/', send: 5 } }), [
    'value /check/send check.send is 5, expected a string',
  ]);
});

t.test('validation: exactly one of several keys', async (t) => {
  t.strictSame(told({ one: { b: 1 } }), []);
  t.strictSame(told({ one: {} }), [
    'key /one one has no "a", "b" or "c", expected exactly one of them',
  ]);
  t.strictSame(told({ one: { c: 1, a: 1 } }), [
    'key /one/a one has "c" and "a", expected exactly one of them',
  ]);
});

t.test('validation: bounds of numbers and of lists', async (t) => {
  t.strictSame(told({ ratio: -1, share: 1.5, endpoints: ['a', 'b', 'c', 'd'] }).slice(-2), [
    'value /ratio ratio is -1, expected a number of at least 0',
    'value /share share is 1.5, expected a number of at most 1',
  ]);
  t.match(told({ endpoints: ['a', 'b', 'c', 'd'] }), [/endpoints has 4, expected at most 3/]);
});

t.test('defaults: they reach into lists and unions', async (t) => {
  const value = {
    endpoints: ['127.0.0.1:1', { address: '[::1]:1' }, { address: '[::1]:2', weight: 5 }],
    action: { respond: 'hello' },
    balance: 'round_robin',
  };
  t.strictSame(withDefaults(schema, value), {
    endpoints: [
      '127.0.0.1:1',
      { address: '[::1]:1', weight: 1 },
      { address: '[::1]:2', weight: 5 },
    ],
    action: { respond: 'hello', status: 200 },
    balance: 'round_robin',
  });
});
