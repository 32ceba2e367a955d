module mlplatform.local/images/pause

go 1.24
