/** Names that the action table may use, as the schemas define them. */

/** OCSF 1.8.0 classes and their activities; each class also has 0 Unknown and 99 Other. */
export const ocsfClasses = {
  authentication: { uid: 3002, category: 3, activities: { 1: 'Logon', 2: 'Logoff', 7: 'Account Switch' } },
  account_change: {
    uid: 3001,
    category: 3,
    activities: {
      1: 'Create', 2: 'Enable', 3: 'Password Change', 4: 'Password Reset', 5: 'Disable', 6: 'Delete', 7: 'Attach Policy',
      8: 'Detach Policy', 9: 'Lock', 10: 'MFA Factor Enable', 11: 'MFA Factor Disable', 12: 'Unlock',
    }, // biome-ignore format: a list
  },
  user_access: { uid: 3005, category: 3, activities: { 1: 'Assign Privileges', 2: 'Revoke Privileges' } },
  group_management: {
    uid: 3006,
    category: 3,
    activities: {
      1: 'Assign Privileges', 2: 'Revoke Privileges', 3: 'Add User', 4: 'Remove User', 5: 'Delete', 6: 'Create',
      7: 'Add Subgroup', 8: 'Remove Subgroup',
    }, // biome-ignore format: a list
  },
  entity_management: {
    uid: 3004,
    category: 3,
    activities: {
      1: 'Create', 2: 'Read', 3: 'Update', 4: 'Delete', 5: 'Move', 6: 'Enroll', 7: 'Unenroll', 8: 'Enable', 9: 'Disable',
      10: 'Activate', 11: 'Deactivate', 12: 'Suspend', 13: 'Resume',
    }, // biome-ignore format: a list
  },
  api_activity: { uid: 6003, category: 6, activities: { 1: 'Create', 2: 'Read', 3: 'Update', 4: 'Delete' } },
} as const;
export type OcsfClass = keyof typeof ocsfClasses;

/** ECS 9.4.0 `event.category` with the `event.type` values each expects. */
export const ecsTypes: Readonly<Record<string, readonly string[]>> = {
  api: ['access', 'admin', 'allowed', 'change', 'creation', 'deletion', 'denied', 'end', 'info', 'start', 'user'],
  authentication: ['start', 'end', 'info'],
  configuration: ['access', 'change', 'creation', 'deletion', 'info'],
  database: ['access', 'change', 'info', 'error'],
  file: ['access', 'change', 'creation', 'deletion', 'info'],
  iam: ['admin', 'change', 'creation', 'deletion', 'group', 'info', 'user'],
  session: ['start', 'end', 'info'],
  web: ['access', 'error', 'info'],
};

/** Splunk CIM 8.5.0: the values of `action` that each model permits. */
export const cimActions: Readonly<Record<string, readonly string[]>> = {
  Authentication: ['success', 'failure', 'pending', 'error'],
  Change: [
    'acl_modified', 'cleared', 'created', 'deleted', 'modified', 'stopped', 'lockout', 'read', 'logoff', 'updated',
    'started', 'restarted', 'unlocked',
  ], // biome-ignore format: a list
  'Data Access': [
    'accepted', 'commented', 'copied', 'created', 'deleted', 'disabled', 'downloaded', 'enabled', 'forwarded', 'granted',
    'invited', 'locked', 'modified', 'moved', 'read', 'restarted', 'revoked', 'shared', 'started', 'stopped',
    'uncommented', 'undeleted', 'unlocked', 'unshared', 'uploaded',
  ], // biome-ignore format: a list
};
/** Child datasets of the Change model. */
export const cimDatasets: readonly string[] = ['Account_Management', 'Auditing_Changes'];

export const severities = ['informational', 'low', 'medium', 'high'] as const;
export type Severity = (typeof severities)[number];
export const outcomes = ['success', 'failure', 'unknown'] as const;
export type Outcome = (typeof outcomes)[number];
