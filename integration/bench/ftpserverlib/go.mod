module ftps/integration/bench/ftpserverlib

go 1.26

require (
	github.com/fclairamb/ftpserverlib v0.32.1
	github.com/spf13/afero v1.15.0
)

require (
	golang.org/x/sys v0.46.0 // indirect
	golang.org/x/text v0.28.0 // indirect
)
