// A program for the exec sink. Its first argument is a directory: it appends records to `arrived` there, and does at each
// line what the file `mode` says.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const [directory = '.', ready = '{"type":"ready","contract":1,"window":1,"maxEvents":1000,"maxBytes":1048576}'] =
  process.argv.slice(2);
const mode = () => (existsSync(join(directory, 'mode')) ? readFileSync(join(directory, 'mode'), 'utf8') : '');
const say = (message) => process.stdout.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
const note = (text) => appendFileSync(join(directory, 'arrived'), `${text}\n`);

if (mode() === 'ignore-sigterm') process.on('SIGTERM', () => note('SIGTERM'));
createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line);
  appendFileSync(join(directory, 'lines'), `${line}\n`);
  const [name, argument = ''] = mode().split(' ');
  if (message.type === 'hello') {
    appendFileSync(join(directory, 'environment'), `${JSON.stringify(process.env)}\n`);
    if (name !== 'never-ready') say(ready);
    return;
  }
  if (message.type === 'close') return note('close');
  const { batch, records } = message;
  const verdict = (kind, more = {}) =>
    say({ type: 'verdict', batch, verdict: kind, detail: `because of ${process.env.TOKEN}`, ...more });
  if (name === 'silent' || name === 'ignore-sigterm') return;
  if (name === 'die') process.exit(3);
  if (name === 'say') return say(argument);
  if (name === 'stderr') process.stderr.write(`password ${process.env.TOKEN}\n`);
  if (name === 'retry' || name === 'stop') return verdict(name, { afterMs: 7 });
  if (name === 'reject' && records.some(({ id }) => id === argument)) return verdict('reject');
  for (const { record } of records) note(record);
  verdict('accepted');
});
