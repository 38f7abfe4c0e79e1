"""One search of settings for every entry of a pipeline: equal trials, equal cost, validation images only.

`settings` is the schema of a search, `space` what it varies, `objective` one training and its score,
`study` the trials of an entry, `table` the results that are committed.
"""
