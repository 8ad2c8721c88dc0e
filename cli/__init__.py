"""`plugbay`, the command-line tool: it knows HTTP and the files of the checkout, nothing of the platform's code.

Exit codes: 0 done; 1 the answer was no; 2 the command was not understood; 3 Plugbay does not answer;
130 ended by Ctrl-C.
"""
