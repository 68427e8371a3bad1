"""The usage features a second time, as somebody would write them without this project; yardsticks, nothing else.

In: landed Parquet files and the accounts, weeks, links and seats they are asked for. Out: the columns of
`int_usage_weekly`. Never imported by the project.
"""
