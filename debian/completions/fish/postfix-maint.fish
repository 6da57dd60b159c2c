# fish completion of postfix-maint(8). The program itself knows what can stand where; its lines are a word, a tab and what is said of it.

function __postfix_maint
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    test (count $current) -gt 0; or set current ''
    set -l option (string match -r -- '^--[^=]*=' "$current")
    set -l value (string replace -- "$option" '' "$current")
    for line in (/usr/sbin/postfix-maint complete $before[2..-1] "$current" 2>/dev/null)
        switch $line
            case :files
                printf '%s\n' "$option"(__fish_complete_path "$value")
            case :dirs
                printf '%s\n' "$option"(__fish_complete_directories "$value" '')
            case '*'
                echo $line
        end
    end
end

complete -c postfix-maint -f -a '(__postfix_maint)'
