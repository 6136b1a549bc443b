package conf

import "time"

// Options of security.
var (
	SecurityRestAuthentication = enumOption("security.rest.authentication",
		"How clients of the REST endpoint prove who they are: token takes the cluster's token, none lets everyone in.",
		"token", "none").or("token").own()
	WeftSecurityDir = textOption("weft.security.dir",
		"Directory of a standalone cluster's certificates and REST token; unset, .weft/security in the user's home directory.").own()
	SecurityKerberosLoginPrincipal = textOption("security.kerberos.login.principal",
		"Kerberos principal to log in as with the keytab.").older("security.principal")
	SecurityKerberosLoginKeytab = textOption("security.kerberos.login.keytab",
		"Keytab of the Kerberos principal.").older("security.keytab")
	SecurityKerberosLoginUseTicketCache = boolOption("security.kerberos.login.use-ticket-cache",
		"Whether the user's ticket cache is used where there is no keytab.").or(true)
	SecurityKerberosKrb5ConfPath = textOption("security.kerberos.krb5-conf.path",
		"Kerberos configuration file; unset, KRB5_CONFIG or /etc/krb5.conf.")
	SecurityKerberosReloginPeriod = durationOption("security.kerberos.relogin.period",
		"Interval at which the Kerberos ticket's age is checked.").or(time.Minute)
	SecurityKerberosAccessHadoopFileSystems = listOption("security.kerberos.access.hadoopFileSystems",
		"Further file systems to get delegation tokens for.").older("yarn.security.kerberos.additionalFileSystems")
	SecurityDelegationTokensEnabled = boolOption("security.delegation.tokens.enabled",
		"Whether delegation tokens are obtained.").or(true).older("security.kerberos.fetch.delegation-token")
	SecurityDelegationTokensRenewalTimeRatio = fractionOption("security.delegation.tokens.renewal.time-ratio",
		"Share of a token's lifetime after which it is obtained anew.").or(0.75).
		older("security.kerberos.tokens.renewal.time-ratio")
	SecurityDelegationTokensRenewalRetryBackoff = durationOption("security.delegation.tokens.renewal.retry.backoff",
		"Pause before obtaining tokens is tried again.").or(time.Hour).
		older("security.kerberos.tokens.renewal.retry.backoff")
)
