using System.Net;
using System.Net.Sockets;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Starting;

/// <summary>A start that cannot succeed ends with one line that says what to mend, and with an exit code.</summary>
public sealed class RefusedStartTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string[], int, string[]> WrongCommandLines { get; } = new()
    {
        { ["--colour"], 2, ["--colour", "--help"] },
        { ["serve"], 2, ["serve", "--help"] },
        { ["--api-key"], 2, ["--api-key", "--help"] },
        { ["--template"], 2, ["--template", "--help"] },
        { ["--Fanfare:Region"], 2, ["Fanfare:Region", "--help"] },
        { ["--Fanfare:Colour=red"], 1, ["Fanfare:Colour"] },
        { ["--Fanfare:Limits:Colour=red"], 1, ["Fanfare:Limits:Colour"] },
        { ["--Fanfare:Limits:EventsPerPublishMax=many"], 1, ["Fanfare:Limits:EventsPerPublishMax", "many"] },
        { ["--Fanfare:Limits:KeepAliveInterval=soon"], 1, ["Fanfare:Limits:KeepAliveInterval", "soon"] },
        { ["--Fanfare:ShutdownTimeout=soon"], 1, ["Fanfare:ShutdownTimeout"] },
        { ["--Fanfare:ShutdownTimeout=00:00:00"], 1, ["Fanfare:ShutdownTimeout"] },
        { ["--Fanfare:DrainTime=00:00:30"], 1, ["Fanfare:DrainTime", "Fanfare:ShutdownTimeout"] },
        { ["--Fanfare:DrainTime=-00:00:01"], 1, ["Fanfare:DrainTime"] },
        { ["--backplane", "pigeon"], 1, ["Fanfare:Backplane", "--backplane"] },
        { ["--backplane", "redis"], 1, ["ConnectionStrings:redis"] },
        { ["--backplane", "redis", "--ConnectionStrings:redis=localhost,colour=red"], 1, ["ConnectionStrings:redis"] },
        { ["--backplane", "redis", "--ConnectionStrings:redis=redis://:pass@localhost"], 1, ["ConnectionStrings:redis"] },
        { ["--Fanfare:PublicUrl=events.example.com"], 1, ["Fanfare:PublicUrl"] },
        { ["--Fanfare:Limits:EventsPerPublishMax=0"], 1, ["Fanfare:Limits:EventsPerPublishMax"] },
        { ["--Fanfare:Limits:ConnectionsMax=-1"], 1, ["Fanfare:Limits:ConnectionsMax"] },
        { ["--Fanfare:Limits:WriteTimeout=-00:00:01"], 1, ["Fanfare:Limits:WriteTimeout"] },
        { ["--Fanfare:AccountId=12"], 1, ["Fanfare:AccountId"] },
        { ["--Fanfare:DataSources:Sources:web:ConcurrencyMax=0"], 1, ["Fanfare:DataSources:Sources:web:ConcurrencyMax"] },
        { ["--Fanfare:DataSources:Sources:web:Url=http://web"], 1, ["Fanfare:DataSources:Sources:web:Url"] },
        { ["--api-key", "short"], 1, ["Fanfare:ApiKey", "--api-key"] },
        { ["--urls", "nonsense"], 1, ["nonsense"] },
        { ["--urls", "http://127.0.0.1:99999"], 1, ["http://127.0.0.1:99999"] },
        { ["--urls", "ftp://127.0.0.1:0"], 1, ["ftp"] },
        // Reserved for documentation (RFC 5737), so no interface has it.
        { ["--urls", "http://192.0.2.1:5000"], 1, ["192.0.2.1"] },
        { ["--Kestrel:Endpoints:Tls:Url=https://127.0.0.1:0", "--Kestrel:Endpoints:Tls:Certificate:Path=missing.pem"], 1, ["missing.pem"] },
        { ["--template", "missing.yaml"], 1, ["missing.yaml"] },
    };

    [Theory]
    [MemberData(nameof(WrongCommandLines))]
    public async Task A_wrong_command_line_is_refused_in_one_line(string[] arguments, int exitCode, string[] texts)
    {
        string[] urls = arguments.Any(argument => argument == "--urls" || argument.StartsWith("--Kestrel", StringComparison.Ordinal))
            ? []
            : ["--urls", "http://127.0.0.1:0"];

        var result = await GatewayRun.ToEndAsync(_folder.Path, [.. urls, .. arguments]);

        result.AssertRefused(texts);
        Assert.Equal(exitCode, result.ExitCode);
    }

    [Fact]
    public async Task A_damaged_data_file_is_named()
    {
        Directory.CreateDirectory(_folder["data"]);
        _folder.Write("data/identity.json", """{"apiId":"x","apiK""");

        var result = await StartAsync("--data", _folder["data"]);

        result.AssertRefused("identity.json", "damaged");
    }

    [Theory]
    [InlineData("""{"apiId":"abc","apiKey":"da2-abc"}""")]
    [InlineData("""{"apiId":"","apiKey":"","secret":""}""")]
    [InlineData("null")]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("""{"apiId":"abc","apiKey":"da2-abc","secret":"not base64!"}""")]
    public async Task A_data_file_that_lacks_something_is_named(string text)
    {
        Directory.CreateDirectory(_folder["data"]);
        _folder.Write("data/identity.json", text);

        var result = await StartAsync("--data", _folder["data"]);

        result.AssertRefused("identity.json", "damaged");
        Assert.Equal(text, await File.ReadAllTextAsync(_folder["data/identity.json"], TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_data_folder_that_cannot_be_made_is_named()
    {
        // A file where the folder should be keeps even root from it.
        var file = _folder.Write("occupied", "");

        var result = await StartAsync("--data", file);

        result.AssertRefused(file, "--data");
    }

    [Fact]
    public async Task A_port_in_use_is_named()
    {
        using var occupant = new TcpListener(IPAddress.Loopback, 0);
        occupant.Start();
        var url = $"http://{occupant.LocalEndpoint}";

        var result = await GatewayRun.ToEndAsync(_folder.Path, "--urls", url);

        result.AssertRefused(url);
    }

    [Fact]
    public async Task A_port_in_use_on_one_address_of_localhost_is_named()
    {
        using var occupant = new TcpListener(IPAddress.Loopback, 0);
        occupant.Start();

        var result = await GatewayRun.ToEndAsync(_folder.Path, "--urls", $"http://localhost:{((IPEndPoint)occupant.LocalEndpoint).Port}");

        result.AssertRefused($"http://{occupant.LocalEndpoint}", "in use");
    }

    [Fact]
    public async Task A_mistake_in_a_template_is_named_by_file_and_line()
    {
        var template = _folder.Write("stack.yaml", """
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: wrong
                  EventConfig:
                    AuthProviders: [{AuthType: PASSWORD}]
                    ConnectionAuthModes: [{AuthType: API_KEY}]
                    DefaultPublishAuthModes: [{AuthType: API_KEY}]
                    DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
            """);

        var result = await StartAsync("--template", template);

        Assert.Equal(1, result.ExitCode);
        Assert.Empty(result.Output);
        Assert.All(result.Errors, line => Assert.StartsWith($"fanfare: {template}:", line, StringComparison.Ordinal));
        Assert.Contains(result.Errors, line => line.Contains($"{template}:7: Api.", StringComparison.Ordinal)
            && line.Contains("PASSWORD", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Resources: [")]
    [InlineData("\t")]
    [InlineData("{")]
    public async Task A_template_that_is_no_template_is_named(string text)
    {
        var template = _folder.Write("stack.yaml", text);

        var result = await StartAsync("--template", template);

        result.AssertRefused(template);
    }

    [Fact]
    public async Task A_certificate_that_cannot_be_read_is_named()
    {
        var file = _folder.Write("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");

        var result = await GatewayRun.ToEndAsync(
            _folder.Path, "--Kestrel:Endpoints:Tls:Url=https://127.0.0.1:0", $"--Kestrel:Endpoints:Tls:Certificate:Path={file}");

        result.AssertRefused("https://127.0.0.1:0", "certificate");
    }

    [Fact]
    public async Task A_settings_file_that_is_not_JSON_is_named()
    {
        _folder.Write("appsettings.json", """{"Fanfare": {""");

        var result = await StartAsync();

        result.AssertRefused("appsettings.json");
    }

    [Fact]
    public async Task Several_wrong_settings_are_all_named_at_once()
    {
        var result = await StartAsync("--Fanfare:AccountId=1", "--Fanfare:Limits:MessageBytesMax=0");

        Assert.Equal(1, result.ExitCode);
        Assert.Empty(result.Output);
        Assert.Collection(
            result.Errors.Order(),
            line => Assert.StartsWith("fanfare: Fanfare:AccountId ", line, StringComparison.Ordinal),
            line => Assert.StartsWith("fanfare: Fanfare:Limits:MessageBytesMax ", line, StringComparison.Ordinal));
    }

    private Task<ProcessResult> StartAsync(params string[] arguments) =>
        GatewayRun.ToEndAsync(_folder.Path, ["--urls", "http://127.0.0.1:0", .. arguments]);
}
