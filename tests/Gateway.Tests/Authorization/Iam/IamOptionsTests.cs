using Fanfare.Gateway.Authorization.Iam;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Tests.Authorization.Iam;

public sealed class IamOptionsTests
{
    private const string User = "Fanfare:Iam:Users:0";

    /// <summary>A setting, its value, and the message that it leads to.</summary>
    public static TheoryData<string, string, string> Wrong => new()
    {
        { "Fanfare:Iam:ClockSkew", "00:00:00", "Fanfare:Iam:ClockSkew must be a time between 0 and 1 day." },
        { "Fanfare:Iam:ClockSkew", "1.00:00:01", "Fanfare:Iam:ClockSkew must be a time between 0 and 1 day." },
        { "Fanfare:Iam:RepeatTime", "-00:00:01", "Fanfare:Iam:RepeatTime must not be negative." },
        { $"{User}:Name", "", $"{User}:Name must be" },
        { $"{User}:Name", "a b", $"{User}:Name must be" },
        { $"{User}:Name", "a/b", $"{User}:Name must be" },
        { $"{User}:AccessKeyId", "", $"{User}:AccessKeyId must be" },
        { $"{User}:AccessKeyId", "a/b", $"{User}:AccessKeyId must be" },
        { $"{User}:SecretAccessKey", "", $"{User}:SecretAccessKey must not be empty." },
        { $"{User}:SessionToken", "", $"{User}:SessionToken must be" },
        { $"{User}:SessionToken", "tok en", $"{User}:SessionToken must be" },
        { $"{User}:Policies:0:Effect", "allow", $"{User}:Policies:0:Effect must be Allow or Deny." },
        { $"{User}:Policies:0:Action", "", $"{User}:Policies:0:Action must be" },
        { $"{User}:Policies:0:Resource", "", $"{User}:Policies:0:Resource must be" },
        { $"{User}:Policies:0:Resource", "arn:${aws:username}", $"{User}:Policies:0:Resource has a policy variable" },
        { $"{User}:Policies:7:Effect", "Deny", $"{User}:Policies:7:Action must be" },
        { "Fanfare:Iam:Users:5:Name", "bo", "Fanfare:Iam:Users:5:SecretAccessKey must not be empty." },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_wrong_setting_is_named_and_no_secret_is_shown(string key, string value, string message)
    {
        var failure = Assert.Throws<OptionsValidationException>(() => new IamBench((key, value)).Dispose());
        Assert.Contains(failure.Failures, text => text.StartsWith(message, StringComparison.Ordinal));
        Assert.DoesNotContain(ReferenceSigner.ExampleSecret, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("tok en", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_access_key_belongs_to_one_entry()
    {
        var failure = Assert.Throws<OptionsValidationException>(() => new IamBench(
            ("Fanfare:Iam:Users:1:Name", "bo"), ("Fanfare:Iam:Users:1:AccessKeyId", ReferenceSigner.ExampleId),
            ("Fanfare:Iam:Users:1:SecretAccessKey", "s")).Dispose());
        Assert.Equal("Fanfare:Iam:Users:1:AccessKeyId is the same as an earlier entry's.", Assert.Single(failure.Failures));
    }

    [Fact]
    public void Actions_and_resources_are_texts_or_lists()
    {
        using var bench = new IamBench(
            ($"{User}:Policies:0:Action", "appsync:EventConnect"),
            ($"{User}:Policies:1:Effect", "Deny"),
            ($"{User}:Policies:1:Action:0", "a:b"),
            ($"{User}:Policies:1:Action:1", "c:d"),
            ($"{User}:Policies:1:Resource:0", "x"));
        var policies = Assert.Single(bench.Options.Iam.Users).Policies;
        Assert.Equal(["appsync:EventConnect"], policies[0].Action);
        Assert.Equal(["*"], policies[0].Resource);
        Assert.Equal(["a:b", "c:d"], policies[1].Action);
        Assert.Equal(["x"], policies[1].Resource);
    }

    [Fact]
    public void Entries_of_one_name_are_one_user_with_several_keys()
    {
        using var bench = new IamBench(
            ("Fanfare:Iam:Users:1:Name", "ana"), ("Fanfare:Iam:Users:1:AccessKeyId", "AKIDSECOND"), ("Fanfare:Iam:Users:1:SecretAccessKey", "2"),
            ("Fanfare:Iam:Users:2:Name", "bo"), ("Fanfare:Iam:Users:2:AccessKeyId", "AKIDTHIRD"), ("Fanfare:Iam:Users:2:SecretAccessKey", "3"));
        var first = bench.Connect(bench.Signer.SignObject("{}"));
        var second = bench.Connect((bench.Signer with { AccessKeyId = "AKIDSECOND", Secret = "2" }).SignObject("{}"));
        second.AssertGranted();
        Assert.Equal(first.Identity, second.Identity);
        bench.Connect((bench.Signer with { AccessKeyId = "AKIDTHIRD", Secret = "3" }).SignObject("{}"))
            .AssertRefused("UnauthorizedException", null, 403);
        bench.Connect((bench.Signer with { AccessKeyId = "AKIDTHIRD" }).SignObject("{}")).AssertMismatch();
    }

    [Theory]
    [InlineData("Fanfare:Iam:ClockScew", "Fanfare:Iam:ClockScew")]
    [InlineData("Fanfare:Iam:Users:0:Secret", "Fanfare:Iam:Users:0:Secret")]
    [InlineData("Fanfare:Iam:Users:0:Policies:0:Condition:Bool", "Fanfare:Iam:Users:0:Policies:0:Condition")]
    [InlineData("Fanfare:Iam:Users:0:Policies:0:NotAction", "Fanfare:Iam:Users:0:Policies:0:NotAction")]
    [InlineData("Fanfare:Iam:Users:0:Key", "Fanfare:Iam:Users:0:Key")]
    public async Task A_setting_that_does_not_exist_stops_the_start(string key, string named)
    {
        var failure = await Assert.ThrowsAsync<GatewayStartException>(() => GatewayServer.StartAsync($"--{key}=x"));
        Assert.Contains($"'{named}'", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_name_of_a_user_gives_its_principal_id_once_and_for_all()
    {
        var policy = new IamPolicy([]);
        var user = new IamUser("123456789012", "ana", policy);
        Assert.Equal(user.PrincipalId, new IamUser("123456789012", "ana", policy).PrincipalId);
        Assert.NotEqual(user.PrincipalId, new IamUser("123456789012", "bo", policy).PrincipalId);
        Assert.NotEqual(user.PrincipalId, new IamUser("000000000000", "ana", policy).PrincipalId);
        Assert.Equal("AIDA", user.PrincipalId[..4]);
        Assert.Equal(21, user.PrincipalId.Length);
    }

    [Fact]
    public void Remembered_signatures_are_bounded()
    {
        var used = new UsedSignatures(TimeSpan.Zero, TimeSpan.FromMinutes(5));
        var now = DateTimeOffset.UnixEpoch;
        Assert.True(used.TryUse(1, now));
        now += TimeSpan.FromSeconds(1);
        Assert.False(used.TryUse(1, now));
        for (var i = 0; i < 2 * UsedSignatures.CountMax; i++)
        {
            Assert.True(used.TryUse((UInt128)(i + 2), now));
        }

        Assert.True(used.TryUse(1, now)); // forgotten for the sake of the bound
    }
}
