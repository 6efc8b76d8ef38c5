import type { ActionRow } from '../../src/format/action-row.ts';
import { builtInActions } from '../../src/format/actions-table.ts';
import { createFormat, formatNames } from '../../src/format/formats.ts';
import { auditEvent } from './audit-events.ts';

/** The event that docs/formats.md shows. */
const shown =
  '{"id":48151623,"user":{"id":1,"name":"Ali Öztürk","email":"ali@acme.test"},"action":"user.role_updated",' +
  '"ip":"203.0.113.7","userAgent":"Mozilla/5.0 (X11; Linux x86_64)","createdAt":"2026-11-23T10:00:00.123Z",' +
  '"meta":{"userId":18,"newRole":"admin","ticket":"OPS=7"}}';

/** The same event in each format, as docs/formats.md shows it. */
export function examples(): [name: string, record: string][] {
  const context = { tenant: 'acme.eu1.qasphere.com', version: '0.1.0' };
  return formatNames.map((name) => {
    const record = createFormat(name, {}, context).encode(auditEvent(shown, 48_151_623n)).toString();
    return [name, record];
  });
}

/** The table of actions as docs/formats.md shows it, one line a meaning. */
export function actionsTable(): string {
  const cell = (row: ActionRow) => {
    const patterns = row.match.slice(0, 3).map((pattern) => `\`${pattern}\``);
    const more = row.match.length > 3 ? ` and ${row.match.length - 3} more` : '';
    const { class: ocsfClass, activity } = row.ocsf;
    const cim =
      row.cim === undefined ? '' : [row.cim.model, row.cim.dataset, row.cim.action].filter(Boolean).join(', ');
    return `| ${patterns.join(' ')}${more} | ${row.basis} | ${row.category}, ${row.activity} | ${row.severity} | ${ocsfClass} ${activity} | ${row.ecs.category.join()}: ${row.ecs.type.join(', ')} | ${cim} |`;
  };
  const head =
    '| actions | basis | category, activity | severity | OCSF | ECS | CIM |\n| --- | --- | --- | --- | --- | --- | --- |';
  return [head, ...builtInActions.map(cell)].join('\n');
}
