import type { OcsfClass, Outcome, Severity } from './vocabulary.ts';

/** One row of the action table (config/actions.yaml): the meaning of the actions that match it. */
export interface ActionRow {
  /** Globs, compared with the action as sent and, both brought to one spelling, as `noun.verb.outcome`. */
  readonly match: readonly string[];
  /** Whether what is done is known from documentation, or assumed. */
  readonly basis?: 'derived' | 'guessed';
  readonly category: string;
  readonly activity: string;
  readonly outcome: Outcome;
  readonly severity: Severity;
  readonly ocsf: { readonly class: OcsfClass; readonly activity: number };
  readonly ecs: { readonly category: readonly string[]; readonly type: readonly string[] };
  /** Splunk CIM: model, its child dataset, and the model's word for the action. Absent if no model fits. */
  readonly cim?: { readonly model: string; readonly dataset?: string; readonly action?: string };
  /** The action affects the actor's own account if `meta` names no other. */
  readonly self?: boolean;
}
