using System.Text;

namespace Mqtt5.Cli;

/// <summary>Asks a person for a secret, which does not show while it is typed.</summary>
internal static class SecretPrompt
{
    /// <summary>The line that was typed.</summary>
    /// <exception cref="UsageException">There is no terminal, or the input ended.</exception>
    /// <exception cref="OperationCanceledException">They pressed Ctrl+C.</exception>
    public static string Ask(Terminal terminal, string prompt)
    {
        if (terminal.IsInputRedirected)
            throw new UsageException($"there is no terminal to ask for a password at; {PasswordSource.Variable} in the environment or --pw-file can give it");

        var typed = new StringBuilder();

        // A key that is waited for keeps a signal waiting as well. From here on the terminal shows nothing by itself, so it
        // comes before the prompt: what is typed or pasted after the prompt is not shown.
        Console.TreatControlCAsInput = true;

        try
        {
            terminal.Error.Write(prompt);
            terminal.Error.Flush();

            while (true)
            {
                var key = Console.ReadKey(intercept: true);

                switch (key.Key)
                {
                    case ConsoleKey.C when key.Modifiers.HasFlag(ConsoleModifiers.Control):
                        terminal.Error.WriteLine();
                        throw new OperationCanceledException();
                    case ConsoleKey.Enter:
                        terminal.Error.WriteLine();
                        return typed.ToString();
                    case ConsoleKey.Backspace:
                        typed.Length -= typed.Length > 0 ? 1 : 0;
                        break;
                    default:
                        if (key.KeyChar == '\u0004')
                            throw new UsageException("no password was typed");

                        if (!char.IsControl(key.KeyChar))
                            typed.Append(key.KeyChar);

                        break;
                }
            }
        }
        finally
        {
            Console.TreatControlCAsInput = false;
        }
    }
}
