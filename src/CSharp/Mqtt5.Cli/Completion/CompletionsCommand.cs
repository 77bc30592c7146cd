using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>completions</c>.</summary>
internal static class CompletionsCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var shell = new Argument<string>("SHELL") { Description = $"The shell: {string.Join(", ", CompletionScript.Shells)}." };
        shell.AcceptOnlyFromAmong([.. CompletionScript.Shells]);
        var command = new Command("completions", """
            Prints the script with which a shell completes the verbs and options of mqtt5.

            Examples:
              bash   source <(mqtt5 completions bash)       as a line of ~/.bashrc
              zsh    source <(mqtt5 completions zsh)        as a line of ~/.zshrc, after compinit
              fish   mqtt5 completions fish >~/.config/fish/completions/mqtt5.fish
              pwsh   mqtt5 completions pwsh | Out-String | Invoke-Expression    in $PROFILE

            Exit codes:
              0    printed
              2    there is no script for that shell
            """);
        command.Arguments.Add(shell);
        command.SetAction(async (result, cancellationToken) =>
        {
            await terminal.Output.WriteAsync(CompletionScript.For(result.GetValue(shell)!).AsMemory(), cancellationToken);
            return ExitCode.WellFormed;
        });
        return command;
    }
}
