/** A planted bug: what is replaced in a copy of the sources, and where the kit must turn red. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Scenarios to run, by words of their names; at least one must report a violation. */
  readonly scenarios: readonly string[];
}

export const mutations: readonly Mutation[] = [
  {
    name: 'checkpoint before delivery',
    file: 'pipeline/delivery-queue.ts',
    from: '    const answering = this.#sink.send(',
    to: '    this.#book(entry, entry.records);\n    await this.#options.checkpoint.save(signals);\n    const answering = this.#sink.send(',
    scenarios: ['step: syslog relp'],
  },
  {
    name: 'no fsync of a checkpoint',
    file: 'state/file/durable.ts',
    from: 'await synced(file);',
    to: '',
    scenarios: ['step: stdout file'],
  },
  {
    name: 'no fsync of the directory',
    file: 'state/file/durable.ts',
    from: '  await syncDirectory(dirname(path));',
    to: '',
    scenarios: ['step: stdout file'],
  },
  {
    name: 'no fsync of the dead letter',
    file: 'state/file/dead-letter-files.ts',
    from: 'await file.writeFile(line);\n      await file.sync();',
    to: 'await file.writeFile(line);',
    scenarios: ['step: HEC, some refused'],
  },
  {
    name: 'checkpoint written in place',
    file: 'state/file/durable.ts',
    from: '  renameSync(temporary, path);',
    to: '  writeFileSync(path, text);\n  unlinkSync(temporary);',
    scenarios: ['state: every byte', 'state: newest'],
  },
  {
    name: 'a cut record is not ended before the next',
    file: 'sinks/stdout.ts',
    from: "let isTorn = typeof out === 'number' && endsWithinLine(out);",
    to: 'let isTorn = false;',
    scenarios: ['step: stdout file'],
  },
  {
    name: 'late events off',
    file: 'pipeline/high-water-mark.ts',
    from: 'id > this.#after && !this.#done.has(id) && (',
    to: 'id > this.#head && !this.#done.has(id) && (',
    scenarios: ['late events'],
  },
  {
    name: 'poison batch dropped',
    file: 'pipeline/delivery-queue.ts',
    from: 'else if (entry.records.length > 1) this.#isolate(entry, verdict.failedIndex);',
    to: 'else if (entry.records.length > 1) {\n        this.#remove(entry);\n        this.#book(entry, entry.records);\n      }',
    scenarios: ['step: HEC, some refused'],
  },
  {
    name: 'what comes back is sent after what failed meanwhile',
    file: 'pipeline/delivery-queue.ts',
    from: "this.#entries.find(({ state }) => state === 'waiting')",
    to: "this.#entries.findLast(({ state }) => state === 'waiting')",
    scenarios: ['network: reset after k bytes there'],
  },
  {
    name: 'acknowledgement ignored',
    file: 'sinks/splunk-hec/acks.ts',
    from: "return { kind: 'sent', confirmed };",
    to: 'return accepted;',
    scenarios: ['step: HEC with ack'],
  },
  {
    name: 'key and token logged',
    file: 'lib/secret.ts',
    from: '  reveal(): string {',
    to: '  reveal(): string {\n    process.stderr.write(`${this.#value}\\n`);',
    scenarios: ['refused:'],
  },
  {
    name: 'two instances allowed',
    file: 'state/file/lock.ts',
    from: "database.exec('BEGIN EXCLUSIVE');",
    to: '',
    scenarios: ['state: two'],
  },
  {
    name: 'retry of a 403 of the API',
    file: 'source/verdicts.ts',
    from: '    case 403:\n      return refused(',
    to: "    case 403:\n      if (status > 0) return retry('server', said);\n      return refused(",
    scenarios: ['refused: the API'],
  },
  {
    name: 'retry of a 403 of HEC',
    file: 'sinks/splunk-hec/verdicts.ts',
    from: "if (stop !== undefined) return { kind: 'stop', ",
    to: "if (stop !== undefined) return { kind: 'retry', ",
    scenarios: ['refused: HEC'],
  },
  {
    name: "a stopped collector's close taken for an answer",
    file: 'sinks/syslog/stream.ts',
    from: 'doubt = unproven(where, opened.verdict.detail);',
    to: 'doubt = undefined;',
    scenarios: ['stopped: '],
  },
  {
    name: 'checksum not looked at',
    file: 'state/checkpoint-text.ts',
    from: 'if (end === null || digest(body) !== end[1]) {',
    to: 'if (end === null) {',
    scenarios: ['state: every byte'],
  },
  {
    name: 'damaged checkpoints start from nothing',
    file: 'state/file/checkpoint-files.ts',
    from: 'throw this.#unusable(sink, detail);',
    to: 'return undefined;',
    scenarios: ['state: both'],
  },
  {
    name: "another tenant's checkpoint taken",
    file: 'state/file/checkpoint-files.ts',
    from: 'if (checkpoint.source !== this.#options.source)',
    to: "if (checkpoint.source === '')",
    scenarios: ['state: another tenant'],
  },
  {
    name: 'a failed write of the checkpoint is let go',
    file: 'pipeline/checkpoint-writer.ts',
    from: '() => this.#save(),',
    to: '() => this.#save().catch(() => void (this.#saved = this.#changes)),',
    scenarios: ['state: EIO'],
  },
  {
    name: 'a record altered',
    file: 'sinks/lines.ts',
    from: '    at += encoded.record.copy(bytes, at);',
    to: '    at += encoded.record.copy(bytes, at);\n    if (records.length > 30) bytes[at - 3] = 0x20;',
    scenarios: ['step: stdout file'],
  },
  {
    name: 'what waits is taken for acknowledged',
    file: 'sinks/syslog/connection.ts',
    from: 'const taken = bytesTaken(this.#raw);',
    to: 'const taken = this.#raw.bytesWritten;',
    scenarios: ['a real network: stuck'],
  },
  {
    name: 'duplicates after a death are not announced',
    file: 'pipeline/sealer.ts',
    from: 'if (stored !== undefined && !stored.isClean)',
    to: 'if (stored === undefined)',
    scenarios: ['step: stdout file'],
  },
  {
    name: 'the hashes of unsealed events are not stored',
    file: 'pipeline/sealer.ts',
    from: '    await this.#events.save();\n',
    to: '',
    scenarios: ['step: HEC, some refused', 'random histories'],
  },
  {
    name: 'a seal that was written before a death is not continued',
    file: 'pipeline/sealer.ts',
    from: 'newest.seal.seq >= interval.seq',
    to: 'newest.seal.seq > interval.seq',
    scenarios: ['step: stdout file'],
  },
];
