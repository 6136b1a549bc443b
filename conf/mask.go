package conf

import "strings"

// Mask replaces the value of a secret wherever it is shown.
const Mask = "******"

// secretWords are Flink's: a key that holds one of them is a secret's.
var secretWords = []string{
	"password", "secret", "fs.azure.account.key", "apikey", "api-key", "auth-params", "service-key", "token",
	"basic-auth", "jaas.config", "http-headers",
}

// IsSensitive says whether values of key must not be shown.
func IsSensitive(key string) bool {
	lower := strings.ToLower(key)
	for _, word := range secretWords {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

func displayed(key, value string) string {
	if IsSensitive(key) {
		return Mask
	}
	return value
}
