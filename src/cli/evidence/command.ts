import { type Command, configFlag, jsonFlag, UsageError, yesFlag } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { InputProblem } from './input.ts';

const usage =
  'init --key FILE | status | verify --seals FILE | prove --id ID --sink NAME | recover --seals FILE --sink NAME';

/** The flags of each subcommand; any other is an error. */
const flagsOf: Readonly<Record<string, readonly string[]>> = {
  init: ['key'],
  status: ['config', 'json', 'tenant'],
  verify: ['seals', 'records', 'public-key', 'from', 'to', 'tenant', 'sink', 'json', 'proof'],
  prove: ['config', 'id', 'sink', 'tenant'],
  recover: ['config', 'seals', 'sink', 'yes', 'tenant'],
};

export const evidenceCommand: Command = {
  summary: 'verifies that no delivered event is missing, changed or doubled',
  usage: `${usage} [options]`,
  flags: {
    config: configFlag,
    key: { type: 'string', value: 'FILE', describes: 'init: where the new private key is written' },
    seals: {
      type: 'string',
      value: 'FILE',
      describes: 'seals: a file, a directory of them, or an export that has them',
    },
    records: {
      type: 'string',
      value: 'FILE',
      describes: 'verify: the records as the sink has them, - for standard input',
    },
    'public-key': { type: 'string', value: 'FILE', describes: 'verify: the public key that "evidence init" printed' },
    from: { type: 'string', value: 'TIME', describes: 'verify: the range begins here, such as 2026-11-01' },
    to: { type: 'string', value: 'TIME', describes: 'verify: the range ends here' },
    tenant: { type: 'string', value: 'NAME', describes: 'only this tenant' },
    sink: { type: 'string', value: 'NAME', describes: 'only this sink' },
    id: { type: 'string', value: 'ID', describes: 'prove: the event' },
    proof: { type: 'string', value: 'FILE', describes: 'verify: what "evidence prove" printed' },
    yes: yesFlag,
    json: jsonFlag,
  },
  positionals: 1,
  notes: [
    'init     makes an Ed25519 key for evidence.keyFile, and prints the public key and its id',
    'status   shows the newest seal of each sink, and what is not sealed yet',
    'verify   checks seals and records offline; exit code 0: both proved, 65: something is broken, 66: not all is covered',
    'prove    prints a proof that one event was delivered; it reads its interval from QA Sphere again',
    'recover  rebuilds a lost checkpoint from the newest valid seal, for example one found in the SIEM',
  ].join('\n'),
  async run(values, [verb = ''], cli) {
    const allowed = flagsOf[verb];
    if (allowed === undefined) throw new UsageError(`usage: evidence ${usage}`);
    const extra = Object.keys(values).find((name) => name !== 'help' && !allowed.includes(name));
    if (extra !== undefined) throw new UsageError(`evidence ${verb} has no flag --${extra}`);
    try {
      if (verb === 'init') return await (await import('./init.ts')).init(values, cli);
      if (verb === 'status') return await (await import('./status.ts')).status(values, cli);
      if (verb === 'verify') return await (await import('./verify.ts')).verify(values, cli);
      if (verb === 'prove') return await (await import('./prove.ts')).prove(values, cli);
      return await (await import('./recover.ts')).recover(values, cli);
    } catch (error) {
      if (!(error instanceof InputProblem)) throw error;
      cli.complain(error.message);
      return exitCode.config;
    }
  },
};
