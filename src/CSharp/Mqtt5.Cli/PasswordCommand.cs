using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>passwd</c>.</summary>
internal static class PasswordCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var file = new Argument<string>("FILE") { Description = "The password file; made if there is none." };
        var name = new Argument<string>("NAME") { Description = "The User Name." };
        var delete = new Option<bool>("--delete") { Description = "Take the name out of the file." };
        var command = new Command("passwd", "Sets a password in a file for 'mqtt5 broker --password-file'. It is read from standard input, up to the first line end.")
        {
            file, name, delete,
        };
        command.SetAction((result, cancellationToken) =>
            PasswordVerb.RunAsync(result.GetValue(file)!, result.GetValue(name)!, result.GetValue(delete), terminal, cancellationToken));
        return command;
    }
}
