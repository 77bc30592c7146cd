namespace Mqtt5.Cli;

/// <summary>
/// What a shell has to run so that it completes <c>mqtt5</c>. Each script asks the command itself, with the text up to the
/// cursor and without the command's name: <c>mqtt5 "[suggest:LENGTH]" "TEXT"</c>. Where the command knows nothing, as for
/// the value of an option, the shell completes file names.
/// </summary>
internal static class CompletionScript
{
    /// <summary>The shells that there is a script for.</summary>
    public static IReadOnlyList<string> Shells { get; } = ["bash", "zsh", "fish", "pwsh"];

    /// <summary>The script for one of <see cref="Shells"/>.</summary>
    public static string For(string shell) =>
        shell switch
        {
            "bash" => Bash,
            "zsh" => Zsh,
            "fish" => Fish,
            "pwsh" => PowerShell,
            _ => throw new ArgumentOutOfRangeException(nameof(shell), shell, "There is no script for this shell."),
        };

    // Without what bash 3.2 does not know, which macOS has.
    private const string Bash = """
        # Completion of mqtt5 in bash: source <(mqtt5 completions bash)
        _mqtt5() {
            local text=${COMP_LINE:0:COMP_POINT} word=$2 command=${1/#\~/$HOME} suggestion
            text=${text#"${text%%[![:space:]]*}"}
            text=${text#"${COMP_WORDS[0]}"}
            text=${text#"${text%%[![:space:]]*}"}
            COMPREPLY=()
            while IFS= read -r suggestion; do
                [[ $suggestion == "$word"* && -n $suggestion ]] && COMPREPLY+=("$suggestion")
            done < <("$command" "[suggest:${#text}]" "$text" 2>/dev/null)
        }
        complete -o default -F _mqtt5 mqtt5

        """;

    private const string Zsh = """
        #compdef mqtt5
        # Completion of mqtt5 in zsh: source <(mqtt5 completions zsh)
        _mqtt5() {
            local text="${(j: :)${(@)words[2,CURRENT]}}" command="${words[1]/#\~/$HOME}"
            local -a suggestions
            suggestions=("${(@f)$("$command" "[suggest:${#text}]" "$text" 2>/dev/null)}")
            suggestions=(${suggestions:#})
            (( ${#suggestions} )) && compadd -- "${suggestions[@]}" || _files
        }
        compdef _mqtt5 mqtt5

        """;

    private const string Fish = """
        # Completion of mqtt5 in fish: mqtt5 completions fish >~/.config/fish/completions/mqtt5.fish
        function __mqtt5_complete
            set -l command (string replace -r '^~' -- "$HOME" (commandline -opc)[1])
            set -l text (commandline -cp | string replace -r '^\s*\S+\s*' '')
            set -l word (commandline -ct)
            set -l suggestions ($command "[suggest:"(string length -- "$text")"]" "$text" 2>/dev/null)
            string match -r -- '^'(string escape --style=regex -- "$word")'.+' $suggestions
            or __fish_complete_path "$word"
        end
        complete -c mqtt5 -f -a '(__mqtt5_complete)'

        """;

    private const string PowerShell = """
        # Completion of mqtt5 in PowerShell: mqtt5 completions pwsh | Out-String | Invoke-Expression
        Register-ArgumentCompleter -Native -CommandName mqtt5 -ScriptBlock {
            param($word, $command, $position)
            $length = $position - $command.Extent.StartOffset
            $text = $command.Extent.Text.PadRight($length).Substring(0, $length) -replace '^\S+\s*', ''
            mqtt5 "[suggest:$($text.Length)]" "$text" 2>$null |
                Where-Object { $_ -and $_.StartsWith($word) } |
                ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }
        }

        """;
}
