package yarn

import (
	"fmt"
	"regexp"
	"strings"
)

// environmentName is what a shell accepts on the left of an assignment.
var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// shellValue writes the value of an environment variable so that it arrives as it is. YARN puts it between double quotes
// into a shell script, where $, ` and \ take effect and a quote ends it; before, it replaces {{, }}, <LOG_DIR>, <CPS> and
// the like, which closing and opening the quotes within them prevents.
var shellValue = strings.NewReplacer(
	`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`",
	"{", `{""`, "}", `}""`, "<", `<""`,
).Replace

// quoteEnvironment checks the names of variables and quotes their values; key is where they were configured.
func quoteEnvironment(key string, env map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(env))
	for name, v := range env {
		if !environmentName.MatchString(name) {
			return nil, fmt.Errorf("%s%s: %q is no name of an environment variable: letters, digits and _ make one", key, name, name)
		}
		if strings.ContainsRune(v, 0) {
			return nil, fmt.Errorf("%s%s: the value contains a zero byte", key, name)
		}
		out[name] = shellValue(v)
	}
	return out, nil
}
