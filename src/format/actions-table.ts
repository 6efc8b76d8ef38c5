import type { ActionRow } from './action-row.ts';
import type { OcsfClass, Outcome, Severity } from './vocabulary.ts';

/**
 * The built-in table, most particular rows first; config/actions.yaml is the same data. The API's names of actions are
 * an open set that no source at hand lists. `derived`: what is done is known from the public API and its documentation
 * (its resources, roles, keys, suspension, address allowlist), the spelling alone is assumed. `guessed`: both are.
 *
 * match | basis | category, activity | outcome | severity | OCSF class, activity | ECS category, types | CIM model, action
 */
// biome-ignore format: a table
const rows: readonly (readonly [string, 'derived' | 'guessed', string, Outcome, Severity, string, string, string, 'self'?])[] = [
  // Signing in and out
  ['*login*.failure *login*.reject *login*.deny *authenticate*.failure *mfa*.failure *password.failure *sso*.failure *saml*.failure', 'guessed', 'authentication logon', 'failure', 'medium', 'authentication 1', 'authentication start', 'Authentication failure'],
  ['*logout* session.delete session.revoke session.expire session.end', 'guessed', 'authentication logoff', 'unknown', 'informational', 'authentication 2', 'authentication end', 'Change logoff'],
  ['*impersonate*', 'guessed', 'authentication switch', 'unknown', 'high', 'authentication 7', 'authentication info', 'Authentication'],
  ['*login*.success *authenticate*.success session.create.success', 'guessed', 'authentication logon', 'success', 'informational', 'authentication 1', 'authentication start', 'Authentication success'],
  ['*login* *authenticate session.create session.start', 'guessed', 'authentication logon', 'unknown', 'informational', 'authentication 1', 'authentication start', 'Authentication'],
  // Roles and permissions
  ['user*.role.remove user*.role.revoke user*.role.unassign role.unassign role.revoke *permission.revoke *permission.remove user.demote *admin.remove *admin.revoke', 'derived', 'permission revoke', 'unknown', 'medium', 'user_access 2', 'iam user,change', 'Change/Account_Management acl_modified'],
  ['user*.role.update user*.role.change user*.role.assign user*.role.add user*.role.grant user*.role.set user*.role.edit role.assign role.grant role.change user.role *permission.grant *permission.add *permission.update *permission.change user.promote *admin.add *admin.grant', 'derived', 'permission assign', 'unknown', 'medium', 'user_access 1', 'iam user,change', 'Change/Account_Management acl_modified'],
  ['role.create role.add role.clone', 'guessed', 'permission create', 'unknown', 'medium', 'entity_management 1', 'iam admin,creation', 'Change created'],
  ['role.delete role.remove', 'guessed', 'permission delete', 'unknown', 'medium', 'entity_management 4', 'iam admin,deletion', 'Change deleted'],
  ['role.update role.edit role.modify role.rename', 'guessed', 'permission update', 'unknown', 'medium', 'entity_management 3', 'iam admin,change', 'Change acl_modified'],
  // Passwords and second factors
  ['password.reset* password.forgot*', 'guessed', 'account password_reset', 'unknown', 'low', 'account_change 4', 'iam user,change', 'Change/Account_Management modified', 'self'],
  ['*.password.reset*', 'guessed', 'account password_reset', 'unknown', 'low', 'account_change 4', 'iam user,change', 'Change/Account_Management modified'],
  ['password.change password.update password.set password.create', 'guessed', 'account password_change', 'unknown', 'low', 'account_change 3', 'iam user,change', 'Change/Account_Management modified', 'self'],
  ['*.password.change *.password.update *.password.set', 'guessed', 'account password_change', 'unknown', 'low', 'account_change 3', 'iam user,change', 'Change/Account_Management modified'],
  ['mfa.disable mfa.remove mfa.delete mfa.deactivate', 'guessed', 'account mfa_disable', 'unknown', 'medium', 'account_change 11', 'iam user,change', 'Change/Account_Management modified', 'self'],
  ['*.mfa.disable *.mfa.remove *.mfa.delete *.mfa.reset mfa.reset', 'guessed', 'account mfa_disable', 'unknown', 'medium', 'account_change 11', 'iam user,change', 'Change/Account_Management modified'],
  ['mfa.enable mfa.add mfa.create mfa.activate mfa.register', 'guessed', 'account mfa_enable', 'unknown', 'low', 'account_change 10', 'iam user,change', 'Change/Account_Management modified', 'self'],
  ['*.mfa.enable *.mfa.add', 'guessed', 'account mfa_enable', 'unknown', 'low', 'account_change 10', 'iam user,change', 'Change/Account_Management modified'],
  // Accounts
  ['*invitation.accept invite.accept user.invite.accept *invitation.join user.register user.join', 'guessed', 'account create', 'unknown', 'low', 'account_change 1', 'iam user,creation', 'Change/Account_Management created', 'self'],
  ['*invitation.revoke *invitation.delete *invitation.cancel invite.revoke invite.delete invite.cancel user.invite.revoke', 'guessed', 'account uninvite', 'unknown', 'low', 'account_change 99', 'iam user,info', 'Data Access revoked'],
  ['user.invite *invitation.create *invitation.send *invitation.resend *.invite.send *.invite.resend invite.send member.invite *.user.invite invite', 'derived', 'account invite', 'unknown', 'low', 'account_change 99', 'iam user,info', 'Data Access invited'],
  ['user.create user.add account.create', 'derived', 'account create', 'unknown', 'low', 'account_change 1', 'iam user,creation', 'Change/Account_Management created'],
  ['user.delete user.remove account.delete', 'derived', 'account delete', 'unknown', 'medium', 'account_change 6', 'iam user,deletion', 'Change/Account_Management deleted'],
  ['user.suspend user.disable user.deactivate user.block user.archive', 'derived', 'account disable', 'unknown', 'medium', 'account_change 5', 'iam user,change', 'Change/Account_Management modified'],
  ['user.unsuspend user.resume user.enable user.activate user.unblock user.restore user.unarchive', 'derived', 'account enable', 'unknown', 'medium', 'account_change 2', 'iam user,change', 'Change/Account_Management modified'],
  ['user.lock account.lock', 'guessed', 'account lock', 'unknown', 'medium', 'account_change 9', 'iam user,change', 'Change/Account_Management lockout'],
  ['user.unlock account.unlock', 'guessed', 'account unlock', 'unknown', 'medium', 'account_change 12', 'iam user,change', 'Change/Account_Management unlocked'],
  ['user.read user.view user.list user.search', 'guessed', 'account read', 'unknown', 'informational', 'api_activity 2', 'iam user,info', 'Data Access read'],
  ['profile.update profile.edit profile.change email.update email.change', 'guessed', 'account update', 'unknown', 'low', 'account_change 99', 'iam user,change', 'Change/Account_Management modified', 'self'],
  ['user.update user.edit user.change user.modify user.rename user.*.update user.*.change account.update', 'derived', 'account update', 'unknown', 'low', 'account_change 99', 'iam user,change', 'Change/Account_Management modified'],
  // Groups and membership
  ['group.create team.create', 'guessed', 'group create', 'unknown', 'low', 'group_management 6', 'iam group,creation', 'Change created'],
  ['group.delete group.remove team.delete team.remove', 'guessed', 'group delete', 'unknown', 'medium', 'group_management 5', 'iam group,deletion', 'Change deleted'],
  ['group*.add team*.add group*.assign team*.assign', 'guessed', 'group add_user', 'unknown', 'medium', 'group_management 3', 'iam group,change', 'Change/Account_Management acl_modified'],
  ['group*.remove team*.remove group*.unassign team*.unassign', 'guessed', 'group remove_user', 'unknown', 'medium', 'group_management 4', 'iam group,change', 'Change/Account_Management acl_modified'],
  ['group.update group.rename group.edit team.update team.rename team.edit', 'guessed', 'group update', 'unknown', 'low', 'group_management 99', 'iam group,change', 'Change modified'],
  ['*member.add *member.assign project.user.add project.share', 'guessed', 'permission assign', 'unknown', 'medium', 'user_access 1', 'iam user,change', 'Change/Account_Management acl_modified'],
  ['*member.remove *member.unassign project.user.remove project.unshare', 'guessed', 'permission revoke', 'unknown', 'medium', 'user_access 2', 'iam user,change', 'Change/Account_Management acl_modified'],
  // Keys
  ['apikey.create apikey.add apikey.generate apikey.regenerate apikey.rotate token.create token.generate', 'derived', 'credential create', 'unknown', 'medium', 'entity_management 1', 'iam creation', 'Change created'],
  ['apikey.delete apikey.remove apikey.revoke apikey.expire token.delete token.revoke', 'derived', 'credential delete', 'unknown', 'medium', 'entity_management 4', 'iam deletion', 'Change deleted'],
  ['apikey.enable apikey.activate', 'guessed', 'credential enable', 'unknown', 'medium', 'entity_management 8', 'iam change', 'Change modified'],
  ['apikey.disable apikey.deactivate apikey.suspend', 'guessed', 'credential disable', 'unknown', 'medium', 'entity_management 9', 'iam change', 'Change modified'],
  ['apikey.update apikey.rename apikey.edit token.update', 'derived', 'credential update', 'unknown', 'low', 'entity_management 3', 'iam change', 'Change modified'],
  // The audit log itself
  ['auditlog.delete auditlog.purge auditlog.clear auditlog.disable auditlog.*.disable', 'guessed', 'audit disable', 'unknown', 'high', 'entity_management 4', 'configuration deletion', 'Change/Auditing_Changes cleared'],
  ['auditlog auditlog.read auditlog.view auditlog.list auditlog.search auditlog.export auditlog.download', 'derived', 'audit read', 'unknown', 'low', 'api_activity 2', 'api access', 'Data Access read'],
  // Security settings, then the others
  ['*setting.read *setting.view webhook.read integration.read *sso.read *saml.read *policy.read *allowlist.read customfield.read status.read', 'guessed', 'configuration read', 'unknown', 'informational', 'api_activity 2', 'configuration access', 'Data Access read'],
  ['*sso.sync *scim.sync *directory.sync integration.sync', 'guessed', 'account sync', 'unknown', 'informational', 'api_activity 99', 'iam info', ''],
  ['*allowlist* *sso.* *saml.* *oidc.* *scim.* *idp.* *security*.* *policy.* *domain.*', 'derived', 'configuration security', 'unknown', 'high', 'entity_management 3', 'configuration change', 'Change modified'],
  ['webhook.create integration.create integration.add integration.connect integration.install integration.enable', 'guessed', 'configuration create', 'unknown', 'medium', 'entity_management 1', 'configuration creation', 'Change created'],
  ['webhook.delete integration.delete integration.remove integration.disconnect integration.uninstall integration.disable', 'guessed', 'configuration delete', 'unknown', 'medium', 'entity_management 4', 'configuration deletion', 'Change deleted'],
  ['*setting.* webhook.* integration.* *configuration.* *preference.* notification.* customfield.* status.* organization.* company.* tenant.* workspace.* billing.* subscription.* plan.* license.*', 'derived', 'configuration update', 'unknown', 'low', 'entity_management 3', 'configuration change', 'Change modified'],
  // What testers work on
  ['project.delete project.purge', 'derived', 'content delete', 'unknown', 'medium', 'api_activity 4', 'api deletion', 'Change deleted'],
  ['export.create project*.export testcase*.export run*.export *report*.export *report.download file.download attachment.download', 'guessed', 'content export', 'unknown', 'low', 'api_activity 2', 'api access', 'Data Access downloaded'],
  ['testcase*.import project*.import result*.upload file.upload attachment.upload', 'derived', 'content import', 'unknown', 'informational', 'api_activity 1', 'api creation', 'Data Access uploaded'],
  ['*result.failure *result.success *testcase.failure *testcase.success *run.failure *run.success *step.failure *step.success', 'guessed', 'content update', 'unknown', 'informational', 'api_activity 3', 'api change', 'Change modified'],
  ...content('create', ['create', 'add', 'clone', 'copy', 'duplicate'], 'informational', 1, 'creation', 'created'),
  ...content('read', ['read', 'view', 'list', 'search'], 'informational', 2, 'access', 'read'),
  ...content('delete', ['delete', 'remove', 'purge'], 'low', 4, 'deletion', 'deleted'),
  ...content('update', ['update', 'edit', 'change', 'modify', 'rename', 'move', 'open', 'close', 'reopen', 'start', 'complete', 'finish', 'archive', 'unarchive', 'restore', 'lock', 'unlock', 'assign', 'unassign', 'set', 'merge', 'link', 'unlink', 'reorder', 'submit'], 'informational', 3, 'change', 'modified'),
];

/** Rows for actions that no row above matches, by their verb; such an action counts as unknown. */
// biome-ignore format: a table
const fallbackRows: typeof rows = [
  ['*.failure', 'guessed', 'other failure', 'failure', 'low', 'api_activity 99', 'api info', ''],
  ['*.create *.add *.register *.import *.upload *.clone *.copy *.duplicate *.generate create add import upload', 'guessed', 'other create', 'unknown', 'informational', 'api_activity 1', 'api creation', 'Change created'],
  ['*.read *.view *.list *.search *.access read view list search', 'guessed', 'other read', 'unknown', 'informational', 'api_activity 2', 'api access', 'Data Access read'],
  ['*.export *.download export download', 'guessed', 'other export', 'unknown', 'low', 'api_activity 2', 'api access', 'Data Access downloaded'],
  ['*.delete *.remove *.purge *.clear delete remove purge', 'guessed', 'other delete', 'unknown', 'low', 'api_activity 4', 'api deletion', 'Change deleted'],
  ['*.invite', 'guessed', 'other invite', 'unknown', 'low', 'api_activity 99', 'api user,info', 'Data Access invited'],
  ['*.revoke *.unassign', 'guessed', 'other revoke', 'unknown', 'medium', 'api_activity 3', 'api admin,change', 'Data Access revoked'],
  ['*.grant *.assign *.share *.authorize', 'guessed', 'other grant', 'unknown', 'medium', 'api_activity 3', 'api admin,change', 'Data Access granted'],
  ['*.enable *.activate *.restore *.unlock *.unsuspend *.unarchive', 'guessed', 'other enable', 'unknown', 'low', 'api_activity 3', 'api change', 'Change modified'],
  ['*.disable *.deactivate *.archive *.lock *.suspend *.block', 'guessed', 'other disable', 'unknown', 'low', 'api_activity 3', 'api change', 'Change modified'],
  ['*.update *.change *.edit *.modify *.set *.rename *.move *.reset *.rotate *.configure *.reorder *.save update change edit', 'guessed', 'other update', 'unknown', 'informational', 'api_activity 3', 'api change', 'Change modified'],
  ['*', 'guessed', 'other other', 'unknown', 'informational', 'api_activity 99', 'api info', ''],
];

function content(activity: string, verbs: string[], severity: Severity, id: number, type: string, cim: string) {
  const known = ['project', 'folder', 'testcase', 'testplan', 'run', 'result', 'milestone', 'requirement', 'sharedstep', 'sharedprecondition', 'tag', 'file']; // biome-ignore format: a list
  const assumed = ['attachment', 'comment', 'defect', 'issue', 'report', 'template', 'step'];
  const row = (nouns: readonly string[], basis: 'derived' | 'guessed') =>
    [
      nouns.flatMap((noun) => verbs.map((verb) => `${noun}.${verb}`)).join(' '),
      basis,
      `content ${activity}`,
      'unknown',
      severity,
      `api_activity ${id}`,
      `api ${type}`,
      `Change ${cim}`,
    ] as const;
  return [row(known, 'derived'), row(assumed, 'guessed')];
}

function toRow([match, basis, does, outcome, severity, ocsf, ecs, cim, self]: (typeof rows)[number]): ActionRow {
  const [category = '', activity = ''] = does.split(' ');
  const [ocsfClass, ocsfActivity] = ocsf.split(' ');
  const [ecsCategory = '', types = ''] = ecs.split(' ');
  const [, model = '', dataset, action] = /^(Data Access|\w+?)(?:\/(\w+))?(?: (\w+))?$/.exec(cim) ?? [];
  return {
    match: match.split(' '),
    basis,
    category,
    activity,
    outcome,
    severity,
    ocsf: { class: ocsfClass as OcsfClass, activity: Number(ocsfActivity) },
    ecs: { category: [ecsCategory], type: types.split(',') },
    ...(cim === '' ? {} : { cim: { model, ...some('dataset', dataset), ...some('action', action) } }),
    ...(self === undefined ? {} : { self: true }),
  };
}

const some = (key: string, value: string | undefined) => (value === undefined ? {} : { [key]: value });

export const builtInActions: readonly ActionRow[] = rows.map(toRow);
export const fallbackActions: readonly ActionRow[] = fallbackRows.map(toRow);
