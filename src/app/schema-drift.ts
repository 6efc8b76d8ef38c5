import { type AuditEvent, actionOf } from '../event/event.ts';
import type { Remarks } from '../event/reading.ts';
import type { Actions } from '../format/actions.ts';
import { driftOf } from '../format/schema-drift.ts';
import { printable } from '../lib/printable.ts';
import type { Secret } from '../lib/secret.ts';
import type { TelemetryEvent } from '../telemetry/telemetry-event.ts';

/** Names from outside that are told apart, as many as a metric's label may take; all others are one. */
const mostNames = 50;
const longestName = 60;
const others = 'other';

/** What the API sends and nobody expected, by name; each name is news once. Serves a whole process. */
export class Drift {
  readonly #fields = new Names();
  readonly #actions = new Names();

  /**
   * What these events, read for the first time and with `driftOf` for remarks if with any, are worth telling: nothing, the usual case, or one of each kind. `key`
   * never shows, though the API should send it back.
   */
  of(events: readonly AuditEvent[], actions: Actions, key: Secret): TelemetryEvent[] {
    const hidden = (name: string) => name.replaceAll(key.reveal(), String(key));
    const fields = new Map<string, number>();
    const unknown = new Map<string, number>();
    events.forEach((event) => {
      const drift = event.remarks ?? driftOf(event.value);
      if (drift.length > 0) this.#count(drift, hidden, fields);
      const action = actionOf(event);
      // An event without one has drifted already.
      if (action !== '' && !actions.meaningOf(action).known) count(unknown, this.#actions.label(hidden(action)));
    });
    const happenings: TelemetryEvent[] = [];
    if (fields.size > 0)
      happenings.push({
        event: 'source.drift',
        fields: Object.fromEntries(fields),
        firstSeen: this.#fields.news(fields.keys()),
      });
    if (unknown.size > 0)
      happenings.push({
        event: 'source.unknown_actions',
        actions: Object.fromEntries(unknown),
        firstSeen: this.#actions.news(unknown.keys()),
      });
    return happenings;
  }

  #count(drift: Remarks, hidden: (name: string) => string, fields: Map<string, number>): void {
    for (const label of new Set(drift.map((name) => this.#fieldOf(hidden(name))))) count(fields, label);
  }

  /** Fields that are missing or of another type are documented ones, and few: only unknown ones can be without end. */
  #fieldOf(name: string): string {
    return name.startsWith('unknown:') ? this.#fields.label(name) : name;
  }
}

class Names {
  readonly #labels = new Map<string, string>();
  readonly #told = new Set<string>();

  /** The name as it is shown, or what stands for all others. */
  label(name: string): string {
    const known = this.#labels.get(name);
    if (known !== undefined) return known;
    if (this.#labels.size >= mostNames) return others;
    const shown = printable(name, longestName);
    this.#labels.set(name, shown);
    return shown;
  }

  /** Those of `labels` that were never told. */
  news(labels: Iterable<string>): string[] {
    const fresh = [...labels].filter((label) => !this.#told.has(label));
    for (const label of fresh) this.#told.add(label);
    return fresh;
  }
}

function count(tally: Map<string, number>, label: string): void {
  tally.set(label, (tally.get(label) ?? 0) + 1);
}
