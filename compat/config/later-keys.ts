/** Keys whose meaning is not built yet: checked, shown, without effect. */
export const laterKeys: readonly string[] = [
  'auto_reload_config',
  'enable_agent_tls_for_checks',
  'enable_debug',
];
