import type { ActionRow } from '../../src/format/action-row.ts';
import { builtInActions, fallbackActions } from '../../src/format/actions-table.ts';

const head = `# What an action of the audit log means: the built-in table, for reading and as a model. Generated from
# src/format/actions-table.ts; a test holds the two together. The forwarder does not read this file: name a file of
# your own by actionsFile, with a list "actions" of the rows you want to add or change. Its rows are tried before
# these; the first row that matches counts.
#
# match      globs, compared with the action as sent and, both brought to one spelling, as noun.verb.outcome:
#            UserCreated, create_user and users.create are all user.create; failed-login is login.failure
# basis      derived: what is done is known from the public API and its documentation, the spelling is assumed;
#            guessed: both are assumed. QA Sphere's set of actions is open
# category, activity   cat of CEF and LEEF; qasphere.audit.category and .activity of ECS
# outcome    success, failure, unknown; never guessed from the absence of a word
# severity   informational, low, medium, high: CEF and LEEF 1, 3, 5, 8; OCSF 1, 2, 3, 4
# ocsf       class and activity of OCSF 1.8.0; an event that lacks what the class needs becomes API Activity
# ecs        event.category and event.type of ECS 9.4.0
# cim        Splunk CIM 8.5.0: model, child dataset, action; absent where no model fits
# self       the account acted upon is the actor's own where meta names no other
`;

const fallbackHead = `
# Rows for an action that none above matches, from its verb. The event counts as unknown, so that you see what to add.
`;

/** config/actions.yaml: the built-in table. */
export function actionsYaml(): string {
  const list = (rows: readonly ActionRow[]) => rows.map(written).join('\n');
  return `${head}\nactions:\n${list(builtInActions)}${fallbackHead}\nfallback:\n${list(fallbackActions)}`;
}

function written(row: ActionRow): string {
  const { cim } = row;
  const cimParts = cim && [['model', cim.model], ['dataset', cim.dataset], ['action', cim.action]]; // biome-ignore format: pairs
  const lines = [
    `- match: ${flow(row.match)}`,
    ...(row.basis === undefined ? [] : [`  basis: ${row.basis}`]),
    `  category: ${row.category}`,
    `  activity: ${row.activity}`,
    `  outcome: ${row.outcome}`,
    `  severity: ${row.severity}`,
    `  ocsf: { class: ${row.ocsf.class}, activity: ${row.ocsf.activity} }`,
    `  ecs: { category: [${row.ecs.category.join(', ')}], type: [${row.ecs.type.join(', ')}] }`,
    ...(cimParts === undefined
      ? []
      : [
          `  cim: { ${cimParts.flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${value}`])).join(', ')} }`,
        ]),
    ...(row.self === true ? ['  self: true'] : []),
  ];
  return `${lines.map((line) => `  ${line}`).join('\n')}\n`;
}

/** A list in brackets, folded before column 120. */
function flow(items: readonly string[]): string {
  const lines = [''];
  for (const item of items) {
    const text = item.startsWith('*') ? `"${item}"` : item;
    const last = lines.at(-1) ?? '';
    if (last.length + text.length > 108) lines.push(text);
    else lines[lines.length - 1] = last === '' ? text : `${last}, ${text}`;
  }
  return lines.length === 1 ? `[${lines[0]}]` : `[\n${lines.map((line) => `        ${line}`).join(',\n')},\n      ]`;
}
