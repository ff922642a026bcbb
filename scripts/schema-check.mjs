// Has ajv write the check of a configuration by the published schema, dist/schema-check.cjs, so that no start has to
// (src/config/validation/schema-check.ts).
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import codegen from 'ajv/dist/compile/codegen/index.js';
import standalone from 'ajv/dist/standalone/index.js';
import { ajvKeywords } from '../dist/config/validation/keywords.js';
import { schemaCompiler, schemaDigest } from '../dist/config/validation/schema-check.js';
import { writeWhole } from './write-whole.mjs';

const { _, getProperty } = codegen;
const file = fileURLToPath(new URL('../dist/schema-check.cjs', import.meta.url));
const schema = JSON.parse(readFileSync(new URL('../config/schema.json', import.meta.url), 'utf8'));
const ajv = schemaCompiler({ source: true });

// The schema and what our own keywords do are not written down: who loads the file has them.
const value = ajv.scope.value.bind(ajv.scope);
ajv.scope.value = (prefix, given) => value(prefix, { ...given, ...nameOf(given.ref) });

function nameOf(ref) {
  if (ref === schema) return { code: _`schema` };
  const keyword = ajvKeywords.find(({ validate }) => validate === ref);
  return keyword ? { code: _`keywords${getProperty(keyword.keyword)}` } : {};
}

const code = standalone.default(ajv, ajv.compile(schema));
// In parentheses: V8 reads at once what is in them, instead of once to find the end and once more.
writeWhole(
  file,
  `'use strict';
exports.digest = '${schemaDigest(schema)}';
exports.make = (function (schema, keywords) {
const module = {};
const self = undefined;
${code}
return module.exports;
});
`,
);
