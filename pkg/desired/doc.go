// Package desired answers what the user wants: it reads manifests, strictly, and fills in every default. It starts and
// inspects no container, and decides nothing.
//
//	directory --Watch: which files--> caller --Scan, Look--> files --Parse--> Containers | errors with line and column
//	                                                                      |
//	                      bundle path, process, config.json --Hash--> what a running instance is pinned to
//
// A manifest is a grant of root, so a directory is read only if root alone can write to it, and what lies in it is read
// without ever waiting: a FIFO or a device called web.yaml is one error, not a hang.
//
// The trap is YAML. Anchors, aliases, merge keys and tags are refused, since they buy a manifest nothing and make its
// reading depend on the library; a number is plain decimal or an error, since 010 means eight to some readers and ten to
// others; a string that looks like a number must be quoted. A *.json file is read as JSON and nothing else.
package desired
