using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>passwd</c>.</summary>
internal static class PasswordCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var file = FileOption.Argument("FILE", "The password file; made if there is none.");
        var name = new Argument<string?>("NAME") { Description = "The User Name; with --import there is none.", Arity = ArgumentArity.ZeroOrOne };
        var import = FileOption.Of("Take over all lines of this password file, such as one of mosquitto_passwd ($7$ and $6$). Passwords stay as they are; names that are there already get the line of this file.", "--import");
        var delete = new Option<bool>("--delete") { Description = "Take the name out of the file." };
        var scram = new Option<bool>("--scram") { Description = "Also for SCRAM-SHA-256: the client proves that it knows the password, which never travels." };
        var iterations = BoundedOption.Of(
            $"How often --scram hashes the password; clients do it at each connection. Default: {MqttScramCredentials.DefaultIterations}.",
            MqttScramCredentials.FewestIterations,
            MqttScramCredentials.MostIterations,
            "--iterations");
        var command = new Command("passwd", """
            Sets a password in a file for 'mqtt5 broker --password-file'. It asks for it without an echo; where standard input is no terminal, it takes its first line.

            Examples:
              mqtt5 passwd passwords anna --scram
              mqtt5 passwd passwords anna --delete
              mqtt5 passwd passwords --import /etc/mosquitto/passwd

            Exit codes:
              0    the file is changed
              2    the command line, the file or the password cannot be used
            """)
        {
            file, name, delete, scram, iterations, import,
        };
        command.SetAction((result, cancellationToken) =>
            PasswordVerb.RunAsync(
                new PasswordRequest(
                    result.GetValue(file)!,
                    result.GetValue(name),
                    result.GetValue(delete),
                    result.GetValue(scram) ? (int)(result.GetValue(iterations) ?? MqttScramCredentials.DefaultIterations) : null,
                    result.GetValue(import)),
                terminal,
                cancellationToken));
        return command;
    }
}
