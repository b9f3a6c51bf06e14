// Parses the AsyncAPI document named on the command line, and prints what the parser has to say about it.
import { readFileSync } from 'node:fs';
import parser from '@asyncapi/parser';

const severities = ['error', 'warning', 'information', 'hint'];
const { document, diagnostics } = await new parser.Parser().parse(readFileSync(process.argv[2], 'utf8'));
for (const { severity, code, message, path } of diagnostics) {
  console.log(`${severities[severity]}: ${path.join('/')}: ${message} (${code})`);
}
const faults = diagnostics.filter(({ severity }) => severity <= 1).length;
console.log(document ? `read, with ${faults} errors and warnings` : 'could not be read');
process.exit(document && faults === 0 ? 0 : 1);
