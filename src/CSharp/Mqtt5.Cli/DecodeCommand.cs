using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The command line of <c>mqtt5 decode</c>.</summary>
internal static class DecodeCommand
{
    // A packet has at least a first byte and a Remaining Length.
    private const int SmallestPacketBytes = 2;

    /// <summary>Builds the command.</summary>
    public static Command Create(Terminal terminal)
    {
        var hex = new Argument<string[]>("hex")
        {
            Description = "The bytes in hexadecimal. White space, commas, colons and 0x may stand between them.",
            Arity = ArgumentArity.ZeroOrMore,
        };

        var file = new Option<string?>("--file", "-f")
        {
            Description = "Read the bytes from this file; - is standard input.",
            HelpName = "FILE",
        };

        var raw = Flag("--raw", "The input is the bytes themselves. Default: detected.");
        var text = Flag("--hex", "The input is hexadecimal text. Default: detected.");

        var from = new Option<string>("--from")
        {
            Description = "Who sent the packets. With any, a packet is well formed if either may have sent it.",
            DefaultValueFactory = _ => "any",
        };
        from.AcceptOnlyFromAmong("client", "server", "any");

        var version = new Option<string?>("--protocol-version", "-V")
        {
            Description = "The version of the protocol: 5, 311 or 31. Default: what a CONNECT among the packets says, and 5 before the first one.",
            HelpName = "VERSION",
        };
        version.AcceptOnlyFromAmong([.. ProtocolVersionName.All]);

        var maximum = new Option<int>("--max-packet-bytes")
        {
            Description = "Refuse a larger packet from its header.",
            DefaultValueFactory = _ => Spec.MaximumPacketBytes,
            HelpName = "BYTES",
        };
        maximum.Validators.Add(result =>
        {
            // A value that is no number has its own message.
            if (int.TryParse(result.Tokens.SingleOrDefault()?.Value, out var bytes)
                && bytes is < SmallestPacketBytes or > Spec.MaximumPacketBytes)
            {
                result.AddError($"--max-packet-bytes is from {SmallestPacketBytes} to {Spec.MaximumPacketBytes}, not {bytes}.");
            }
        });

        var secrets = Flag("--show-secrets", "Show passwords and authentication data instead of hiding them.");

        var command = new Command("decode", """
            Explains the packets in bytes from a capture, one after another, and what is wrong with them.

            Examples:
              mqtt5 decode 30080003612F62006869
              mqtt5 decode --from server --file capture.hex
              mqtt5 decode -V 311 3007 0003612F626869
              echo C0 00 | mqtt5 decode

            Exit codes:
              0    every packet is well formed
              1    a packet has a fault, or is cut off
              2    the command line or the input cannot be used
            """)
        {
            hex,
            file,
            raw,
            text,
            from,
            version,
            maximum,
            secrets,
        };

        command.Validators.Add(result =>
        {
            foreach (var option in (result.GetValue(hex) ?? []).Where(argument => argument.StartsWith('-')))
            {
                result.AddError($"There is no option {option}.");
            }

            var hasHex = result.GetValue(hex) is { Length: > 0 };
            var hasFile = result.GetResult(file) is not null;

            if (hasHex && hasFile)
            {
                result.AddError("Give either hexadecimal arguments or --file, not both.");
            }

            if (result.GetValue(raw) && (hasHex || result.GetValue(text)))
            {
                result.AddError("--raw cannot be combined with hexadecimal input.");
            }

            if (!hasHex && !hasFile && !terminal.IsInputRedirected)
            {
                result.AddError("Nothing to decode: give hexadecimal arguments, --file, or pipe bytes to standard input.");
            }
        });

        command.SetAction((result, cancellationToken) =>
        {
            var format = result.GetValue(raw) ? InputFormat.Raw : result.GetValue(text) ? InputFormat.Hex : InputFormat.Detect;

            var request = new DecodeRequest(
                result.GetValue(hex) ?? [],
                result.GetValue(file),
                format,
                result.GetValue(from) switch
                {
                    "client" => [Direction.ClientToServer],
                    "server" => [Direction.ServerToClient],
                    _ => [Direction.ClientToServer, Direction.ServerToClient],
                },
                result.GetValue(version) is { } name ? ProtocolVersionName.Find(name) : null,
                result.GetValue(maximum),
                result.GetValue(secrets));

            return DecodeVerb.RunAsync(request, terminal, cancellationToken);
        });

        return command;
    }

    private static Option<bool> Flag(string name, string description) =>
        new(name) { Description = description, Arity = ArgumentArity.Zero };
}
