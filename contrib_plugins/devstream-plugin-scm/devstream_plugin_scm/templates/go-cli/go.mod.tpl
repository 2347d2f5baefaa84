module [[ module | default("example.com/" ~ AppName) ]]

go 1.25
